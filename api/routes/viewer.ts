import type { Viewer } from '../../store/principals.ts';
import type { Principal } from '../principal.ts';

/** What `principal` may see: private jobs only as their owner or as an operator. */
export function viewerOf(principal: Principal): Viewer {
  return { all: principal.kind === 'operator', owner: principal.kind === 'key' ? principal.id : null };
}
