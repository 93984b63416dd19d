import { constants } from 'node:fs';
import { access, statfs } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { defaultEngineSockets } from '../backends/local/settings.ts';
import { serverAccount } from './account.ts';
import { runCommand } from './command.ts';
import { reasonOf } from './failure.ts';
import { inspectPackage } from './postgres/binaries.ts';
import { portIsFree } from './port.ts';
import { findGo } from './temporal/build.ts';
import { knownTemporalBinary } from './temporal/binary.ts';

/** One thing that Beacon needs or can use on this machine. */
export interface Check {
  name: string;
  ok: boolean;
  /** False: works without it, with less. */
  required: boolean;
  /** What was found. */
  detail: string;
  /** What to do; empty when nothing is to be done. */
  fix: string;
}

export interface DoctorOptions {
  stateFolder: string;
  env?: NodeJS.ProcessEnv;
}

const NODE_MAJOR = 20;
const NODE_MINOR = 11;
/** Binaries 340 MB, a new database 50 MB, the rest is for jobs. */
const DISK_BYTES = 2 * 1024 ** 3;
const GIGABYTE = 1024 ** 3;
const PROBE_MS = 10_000;
const SOCKET_MS = 1_000;

/** Looks, changes nothing but missing links of the PostgreSQL package; every check answers, none throws. */
export async function examine({ stateFolder, env = process.env }: DoctorOptions): Promise<Check[]> {
  const folder = path.resolve(stateFolder);
  const checks: [string, boolean, () => Promise<Partial<Check> & { detail: string }>][] = [
    ['node', true, node],
    ['disk', true, () => disk(folder)],
    ['postgres', true, () => postgres(env)],
    ['temporal', true, () => temporal(folder, env)],
    ['ports', false, () => ports(env)],
    ['bubblewrap', false, bubblewrap],
    ['containers', false, () => containers(env)],
  ];
  return Promise.all(
    checks.map(async ([name, required, check]): Promise<Check> => {
      try {
        const { detail, fix = '' } = await check();
        return { name, required, detail, fix, ok: fix === '' };
      } catch (error) {
        return { name, required, ok: false, detail: reasonOf(error), fix: 'see the reason' };
      }
    }),
  );
}

async function node() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const enough = major > NODE_MAJOR || (major === NODE_MAJOR && minor >= NODE_MINOR);
  return {
    detail: process.version,
    fix: enough ? '' : `install Node ${NODE_MAJOR}.${NODE_MINOR} or newer (https://nodejs.org)`,
  };
}

async function disk(folder: string) {
  let there = folder;
  while (
    !(await access(there).then(
      () => true,
      () => false,
    ))
  )
    there = path.dirname(there);
  const { bavail, bsize } = await statfs(there);
  const free = bavail * bsize;
  return {
    detail: `${(free / GIGABYTE).toFixed(1)} GB free in ${there}`,
    fix: free >= DISK_BYTES ? '' : 'free at least 2 GB, or choose another folder with BEACON_STATE',
  };
}

async function postgres(env: NodeJS.ProcessEnv) {
  if (env.DATABASE_URL) return { detail: 'DATABASE_URL is set: nothing is embedded' };
  const account = await serverAccount();
  const { version, folder, unusable } = await inspectPackage();
  const as = account === null ? '' : `, runs as ${account.name}`;
  return unusable === null
    ? { detail: `PostgreSQL ${version} in ${folder}${as}` }
    : { detail: `the one from npm does not run: ${unusable}`, fix: 'set DATABASE_URL to a server of yours' };
}

async function temporal(folder: string, env: NodeJS.ProcessEnv) {
  if (env.TEMPORAL_ADDRESS) return { detail: 'TEMPORAL_ADDRESS is set: nothing is embedded' };
  const known = await knownTemporalBinary({ stateFolder: folder, env });
  if (known) return { detail: `${known.version}, ${known.path} (${known.source})` };
  const go = await findGo(env);
  if (go)
    return { detail: `downloaded, or built once with ${go.version} in 2-3 minutes, at the first start` };
  return {
    detail: 'no binary yet and no Go: the first start depends on the official download',
    fix: 'where that cannot be reached: install the Temporal CLI (https://docs.temporal.io/cli) or Go (https://go.dev/dl)',
  };
}

async function ports(env: NodeJS.ProcessEnv) {
  const wanted = Number(/(\d+)$/.exec(env.HTTP_PORT ?? '')?.[1] ?? 8090);
  const named: [string, number][] = [
    ['API', wanted],
    ['Temporal', 7233],
    ['Temporal UI', 8233],
  ];
  const taken: string[] = [];
  for (const [name, port] of named) if (!(await portIsFree(port))) taken.push(`${port} (${name})`);
  return {
    detail:
      taken.length === 0
        ? named.map(([, port]) => port).join(', ') + ' are free'
        : `in use: ${taken.join(', ')}`,
    fix:
      taken.length === 0
        ? ''
        : 'nothing, if that is Beacon itself; else other ports are chosen and shown at start',
  };
}

async function bubblewrap() {
  const words = ['--unshare-all', '--die-with-parent', '--ro-bind', '/', '/', 'true'];
  const { code, output } = await runCommand('bwrap', words, { cwd: '/', timeoutMs: PROBE_MS });
  if (code === 0) return { detail: 'bubblewrap works here' };
  return {
    detail: /ENOENT/.test(output) ? 'not installed' : `does not work: ${output.trim().split('\n')[0] ?? ''}`,
    fix: /ENOENT/.test(output)
      ? 'install it (apt-get install bubblewrap); without it shipped programs run as bare processes'
      : 'allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, or kernel.apparmor_restrict_unprivileged_userns=0)',
  };
}

async function containers(env: NodeJS.ProcessEnv) {
  for (const socket of defaultEngineSockets(env))
    if (await answers(socket)) return { detail: `engine on ${socket}` };
  return {
    detail: 'no Docker-compatible socket answers',
    fix: 'for registry images: start Docker, or "podman system service --time=0 &", or set BEACON_DOCKER_SOCKET',
  };
}

async function answers(socket: string): Promise<boolean> {
  if (
    !(await access(socket, constants.R_OK | constants.W_OK).then(
      () => true,
      () => false,
    ))
  )
    return false;
  return new Promise((resolve) => {
    const connection = connect(socket);
    const settle = (answer: boolean) => {
      connection.destroy();
      resolve(answer);
    };
    connection.once('connect', () => settle(true));
    connection.once('error', () => settle(false));
    connection.setTimeout(SOCKET_MS, () => settle(false));
  });
}
