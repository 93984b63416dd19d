import { contradictions, doubts } from '../../config/doubts.ts';
import { readSettings } from '../../config/settings.ts';
import { startStack, type Stack } from '../../embedded/stack.ts';
import type { Context } from '../context.ts';
import { feedUrl } from '../http/address.ts';
import { stackProgress } from './progress.ts';

/** `beacon up`: until the first Ctrl-C, which drains; the second one ends at once. */
export async function up(context: Context): Promise<undefined> {
  const { io, stateDir } = context;
  // Before anything starts: what is wrong would else be found by the first role, after a database and perhaps a build.
  const settings = readSettings(io.env);
  const progress = stackProgress(context);
  for (const said of [...doubts(io.env), ...contradictions(settings)]) progress.say(said);
  const stack = await startStack({ stateFolder: stateDir, env: io.env, progress, signal: io.signal }).finally(
    () => progress.end(),
  );
  try {
    if (context.json) context.record({ ready: true, ...addresses(stack), state: stack.state() });
    else {
      for (const line of addressLines(stack)) context.line(line);
      context.line(
        'Ctrl-C stops it. In another terminal: beacon submit FILE --watch, beacon status, beacon logs -f',
      );
    }
    await aborted(io.signal);
    progress.say('stopping: what is under way is drained; Ctrl-C again ends it at once');
  } finally {
    await stack.stop(io.force);
    progress.end();
  }
  progress.say(`stopped; its state is kept in ${stateDir}`);
}

export function addresses(stack: Stack) {
  const api = stack.apiUrl();
  return { api, docs: `${api}/docs`, feed: feedUrl(api), temporal_ui: stack.temporalUiUrl() };
}

export function addressLines(stack: Stack): string[] {
  const { api, docs, feed, temporal_ui: ui } = addresses(stack);
  return [
    `  API          ${api}`,
    `  API docs     ${docs}`,
    `  feed         ${feed}`,
    `  Temporal UI  ${ui ?? 'none (not ours)'}`,
    `  state        ${stack.folder.path}`,
    `  logs         ${stack.folder.logs}`,
  ];
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
