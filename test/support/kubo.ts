import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
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

/** Talks to nobody. */
const OFFLINE = {
  'Routing.Type': '"none"',
  'Addresses.Swarm': '[]',
  'Gateway.NoFetch': 'true',
};

/** Talks to those on loopback that have the same key, and keeps a part of their common routing table. */
const IN_A_SWARM = {
  'Routing.Type': '"dhtserver"',
  'Routing.LoopbackAddressesOnLanDHT': 'true',
  'Addresses.Swarm': '["/ip4/127.0.0.1/tcp/0"]',
  Bootstrap: '[]',
  'AutoTLS.Enabled': 'false',
  'Discovery.MDNS.Enabled': 'false',
  'Swarm.DisableNatPortMap': 'true',
  'Swarm.Transports.Network.QUIC': 'false',
};

/** The key of a private swarm: nobody without it can connect. */
export function newSwarmKey(): string {
  return `/key/swarm/psk/1.0.0/\n/base16/\n${randomBytes(32).toString('hex')}\n`;
}

/** A real Kubo on loopback: offline, or in the private swarm of this key. */
export async function startKubo(
  program: string,
  { swarmKey }: { swarmKey?: string } = {},
): Promise<TestKubo> {
  const folder = await temporaryFolder();
  const isPrivate = swarmKey === undefined ? {} : { LIBP2P_FORCE_PNET: '1' };
  const repository = path.join(folder.path, 'repo');
  const env = { PATH: process.env.PATH ?? '', HOME: folder.path, IPFS_PATH: repository, ...isPrivate };
  const run = async (...words: string[]): Promise<void> => {
    const { code, output } = await runCommand(program, words, { cwd: folder.path, env, timeoutMs: QUICK_MS });
    if (code !== 0) throw new Error(`ipfs ${words.join(' ')}: ${output}`);
  };
  await run('init', '--profile=server,test');
  const settings = {
    ...(swarmKey === undefined ? OFFLINE : IN_A_SWARM),
    'Plugins.Plugins.telemetry.Disabled': 'true',
    'Version.SwarmCheckEnabled': 'false',
  };
  for (const [name, value] of Object.entries(settings)) await run('config', '--json', name, value);
  if (swarmKey !== undefined) await writeFile(path.join(repository, 'swarm.key'), swarmKey);

  let daemon: ReturnType<typeof spawnDaemon> | undefined;
  const spawnDaemon = () =>
    spawn(program, ['daemon', ...(swarmKey === undefined ? ['--offline'] : [])], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
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
