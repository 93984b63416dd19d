import type { Context } from '../context.ts';
import { EXIT } from '../failure.ts';
import { connect, readJob } from '../http/api.ts';
import { showProgress } from './show-progress.ts';

/** `beacon job watch`. */
export async function watchJob(context: Context, id: string): Promise<number> {
  const api = await connect(context);
  // An unknown job or a service that is not there is told at once, not after a minute of trying.
  await readJob(api.client, id);
  const { state } = await showProgress(context, api, id);
  return state === 'completed' ? EXIT.ok : EXIT.failed;
}
