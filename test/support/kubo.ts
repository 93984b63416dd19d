import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { runCommand } from '../../embedded/command.ts';
import { temporaryFolder } from './temporary-folder.ts';

export interface TestKubo extends AsyncDisposable {
  /** Of its RPC. */
  url: string;
  rpc(path: string): Promise<string>;
  /** Ends the daemon; `start` begins it again over the same repository, on another port. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

const READY_MS = 30_000;
const QUICK_MS = 20_000;

/** A real Kubo on loopback that talks to nobody. */
export async function startKubo(program: string): Promise<TestKubo> {
  const folder = await temporaryFolder();
  const env = { PATH: process.env.PATH ?? '', HOME: folder.path, IPFS_PATH: `${folder.path}/repo` };
  const run = async (...words: string[]): Promise<void> => {
    const { code, output } = await runCommand(program, words, { cwd: folder.path, env, timeoutMs: QUICK_MS });
    if (code !== 0) throw new Error(`ipfs ${words.join(' ')}: ${output}`);
  };
  await run('init', '--profile=server,test');
  await run('config', 'Routing.Type', 'none');
  for (const [name, value] of [
    ['Addresses.Swarm', '[]'],
    ['Gateway.NoFetch', 'true'],
    ['Plugins.Plugins.telemetry.Disabled', 'true'],
    ['Version.SwarmCheckEnabled', 'false'],
  ])
    await run('config', '--json', name!, value!);

  let daemon: ReturnType<typeof spawnDaemon> | undefined;
  const spawnDaemon = () =>
    spawn(program, ['daemon', '--offline'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const kubo: TestKubo = {
    url: '',
    async rpc(path) {
      const answer = await fetch(`${kubo.url}/api/v0/${path}`, { method: 'POST' });
      return answer.text();
    },
    async start() {
      daemon = spawnDaemon();
      let output = '';
      const ready = new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`Kubo is not ready: ${output}`)), READY_MS);
        const read = (chunk: Buffer): void => {
          output += chunk.toString();
          if (!output.includes('Daemon is ready')) return;
          clearTimeout(timer);
          resolve();
        };
        daemon!.stdout.on('data', read);
        daemon!.stderr.on('data', read);
        daemon!.once('exit', (code) => reject(new Error(`Kubo ended with ${code}: ${output}`)));
      });
      await ready;
      const port = /RPC API server listening on \/ip4\/127\.0\.0\.1\/tcp\/(\d+)/.exec(output)?.[1];
      kubo.url = `http://127.0.0.1:${port}`;
    },
    async stop() {
      if (daemon === undefined || daemon.exitCode !== null) return;
      const ended = once(daemon, 'exit');
      daemon.kill('SIGTERM');
      await ended;
    },
    async [Symbol.asyncDispose]() {
      await kubo.stop();
      await folder[Symbol.asyncDispose]();
    },
  };
  await kubo.start();
  return kubo;
}
