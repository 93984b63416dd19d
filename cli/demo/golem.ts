import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Progress } from '../../embedded/progress.ts';
import type { Context } from '../context.ts';
import { CliError } from '../failure.ts';
import { packageRoot } from '../package-root.ts';

/** What the demo's jobs run on. */
export interface DemoGolem extends AsyncDisposable {
  env: NodeJS.ProcessEnv;
  /** Emulated: nothing of it is real but Beacon and the SDK. */
  emulated: boolean;
}

/** Providers of the emulator: two for each region of the example, so that a refusal has somewhere to go. */
const PROVIDERS = ['US', 'EU', 'APAC'].flatMap((region) =>
  [1, 2].map((at) => `name=${region.toLowerCase()}-${at},region=${region},start=0.0${at}`),
);
const READY = /export YAGNA_URL=(\S+) GOLEM_API_KEY=(\S+)/;
const START_MS = 30_000;
const STOP_MS = 5_000;

/** The daemon that GOLEM_API_KEY is for; without one the emulator of a source checkout, as a process of its own. */
export async function demoGolem({ io }: Context, keep: boolean, progress: Progress): Promise<DemoGolem> {
  const backends = { BACKENDS: '*=golem' };
  if (io.env.GOLEM_API_KEY)
    return { env: { ...io.env, ...backends }, emulated: false, [Symbol.asyncDispose]: async () => undefined };
  const root = packageRoot();
  const emulator = path.join(root, 'test', 'yagna', 'main.ts');
  if (!existsSync(emulator))
    throw new CliError('usage', 'no GOLEM_API_KEY, and the emulator is only in a source checkout of Beacon');
  if (keep) throw new CliError('usage', '--keep needs GOLEM_API_KEY: the emulator ends with the demo');
  const loader = path.join(root, 'test', 'support', 'typescript-loader.js');
  const child = spawn(
    process.execPath,
    ['--import', loader, emulator, '--port', '0', ...PROVIDERS.flatMap((one) => ['--provider', one])],
    { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] },
  );
  try {
    const [url, key] = await address(child);
    progress.say(`yagna: an emulator with ${PROVIDERS.length} providers at ${url}`);
    return {
      env: {
        ...io.env,
        ...backends,
        YAGNA_URL: url,
        GOLEM_API_KEY: key,
        GOLEM_NETWORK: 'testnet',
        GOLEM_REGISTRY_URL: url,
      },
      emulated: true,
      [Symbol.asyncDispose]: () => stop(child),
    };
  } catch (error) {
    await stop(child);
    throw error;
  }
}

function address(child: ChildProcess): Promise<[string, string]> {
  return new Promise((resolve, reject) => {
    const failed = (why: string): void => {
      clearTimeout(timer);
      reject(new CliError('failed', `the yagna emulator did not start: ${why}`));
    };
    const timer = setTimeout(() => failed(`nothing in ${START_MS} ms`), START_MS);
    let said = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4_096);
      const [, url, key] = READY.exec(said) ?? [];
      if (url === undefined || key === undefined) return;
      clearTimeout(timer);
      resolve([url, key]);
    });
    child.once('error', (error) => failed(error.message));
    child.once('exit', (code) => failed(`it ended with ${code ?? 'a signal'}`));
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(timer);
}
