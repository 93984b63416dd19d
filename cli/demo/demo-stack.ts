import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Progress } from '../../embedded/progress.ts';
import { startStack } from '../../embedded/stack.ts';
import { readStackState, stopStack } from '../../embedded/stack-state.ts';
import type { Context } from '../context.ts';
import { CliError } from '../failure.ts';
import { packageRoot } from '../package-root.ts';

/** A first start may build the Temporal server; embedded/limits.ts bounds that. */
const POLL_MS = 200;

export interface DemoStack {
  apiUrl: string;
  temporalUi: string | null;
  stateDir: string;
  logs: string;
  /** It ran before the demo came; then `stop` leaves it alone. */
  found: boolean;
  stop(): Promise<void>;
}

/**
 * The stack of the state folder when it runs already; else one in `demo/` inside it, so that nobody's own log gets the
 * demo's jobs. With `keep` that one is a process of its own, which outlives the demo.
 */
export async function demoStack(
  context: Context,
  keep: boolean,
  progress: Progress,
  golem?: NodeJS.ProcessEnv,
): Promise<DemoStack> {
  const { env } = context.io;
  // A stack that runs has its settings; one for Golem is always new.
  if (golem !== undefined) return start(context, path.join(context.stateDir, 'demo-golem'), golem);
  const own = path.join(context.stateDir, 'demo');
  const running = (await runningStack(context.stateDir)) ?? (await runningStack(own));
  return running ?? start(context, own, env);

  function start(of: Context, folder: string, settings: NodeJS.ProcessEnv): Promise<DemoStack> {
    return (keep ? startDetached : startInside)(of, folder, settings, progress);
  }
}

async function runningStack(stateDir: string): Promise<DemoStack | undefined> {
  const state = await readStackState(stateDir);
  if (state?.alive !== true || state.phase !== 'running' || state.api === undefined) return undefined;
  return {
    apiUrl: state.api.url,
    temporalUi: state.temporal?.ui_url ?? null,
    stateDir,
    logs: path.join(stateDir, 'logs'),
    found: true,
    stop: () => Promise.resolve(),
  };
}

async function startInside(
  { io }: Context,
  stateDir: string,
  env: NodeJS.ProcessEnv,
  progress: Progress,
): Promise<DemoStack> {
  const stack = await startStack({ stateFolder: stateDir, env, progress, signal: io.signal });
  return {
    apiUrl: stack.apiUrl(),
    temporalUi: stack.temporalUiUrl(),
    stateDir,
    logs: stack.folder.logs,
    found: false,
    stop: () => stack.stop(io.force),
  };
}

async function startDetached(
  { io }: Context,
  stateDir: string,
  env: NodeJS.ProcessEnv,
  progress: Progress,
): Promise<DemoStack> {
  const logs = path.join(stateDir, 'logs');
  mkdirSync(logs, { recursive: true, mode: 0o700 });
  const output = openSync(path.join(logs, 'up.log'), 'a', 0o600);
  const main = path.join(packageRoot(), 'dist', 'cli', 'main.js');
  const child = spawn(process.execPath, [main, 'up', '--state', stateDir], {
    cwd: io.cwd,
    env,
    detached: true,
    stdio: ['ignore', output, 'pipe'],
  });
  closeSync(output);
  let last = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    for (const line of text.split('\n').filter((line) => line !== '')) {
      last = line;
      progress.say(line);
    }
  });
  const ended = new AbortController();
  child.once('exit', () => ended.abort());
  child.once('error', () => ended.abort());
  const stop = async (): Promise<void> => {
    await stopStack(stateDir);
  };
  try {
    for (;;) {
      const stack = await runningStack(stateDir);
      if (stack !== undefined) return { ...stack, found: false, stop };
      if (ended.signal.aborted) throw new CliError('stack_failed', last.replace(/^beacon: /, ''));
      await delay(POLL_MS, undefined, { signal: io.signal });
    }
  } catch (thrown) {
    child.kill('SIGTERM');
    if (!ended.signal.aborted) await stop();
    throw thrown;
  } finally {
    // From here on it stands alone.
    child.stderr?.destroy();
    child.unref();
  }
}
