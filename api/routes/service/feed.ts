import { ApiError } from '../../errors.ts';
import { FEED_PATH } from '../../feed/feed.ts';
import type { RouteApp } from '../app-type.ts';

/** The feed for whoever asks without an upgrade: the path is right, the protocol is not. */
export function registerFeedPath(app: RouteApp): void {
  app.get(
    FEED_PATH,
    { config: { permission: 'read', mutates: false }, schema: { hide: true } },
    async (_request, reply) => {
      reply.headers({ upgrade: 'websocket', connection: 'Upgrade' });
      throw new ApiError('upgrade_required');
    },
  );
}
