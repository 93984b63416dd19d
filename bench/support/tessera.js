/** The peer of `bench:log`: Tessera on POSIX files behind a small server (tools/tessera), and Tessera's own hammer. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { access, chmod, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../../dist/embedded/command.js';
import { findGo } from '../../dist/embedded/temporal/build.js';

const SOURCE = fileURLToPath(new URL('../../tools/tessera', import.meta.url));
const BIN = fileURLToPath(new URL('../../.beacon/bin', import.meta.url));
const BUILD_MS = 10 * 60_000;
const READY_MS = 20_000;
const STOP_MS = 10_000;
/** More than any log takes: the hammer's own limit is not to be met. */
const UNCAPPED = 100_000;

/**
 * The server and the hammer, built from the sources that go.sum pins and kept in `.beacon/bin` under their hash. `missing`
 * says why they cannot be had here: no Go, or no way to the modules. A build that fails is an error.
 *
 * @returns {Promise<{ server: string, hammer: string, missing: null } | { missing: string }>}
 */
export async function tesseraPrograms(/** @type {(text: string) => void} */ say) {
  const sources = await Promise.all(
    ['go.mod', 'go.sum', 'main.go'].map((file) => readFile(path.join(SOURCE, file))),
  );
  const hash = createHash('sha256').update(Buffer.concat(sources)).digest('hex').slice(0, 8);
  const folder = path.join(BIN, `tessera-${hash}-${process.platform}-${process.arch}`);
  const programs = {
    server: path.join(folder, 'tessera'),
    hammer: path.join(folder, 'hammer'),
    missing: null,
  };
  const isThere = () =>
    Promise.all([access(programs.server), access(programs.hammer)]).then(
      () => true,
      () => false,
    );
  if (await isThere()) return programs;
  const go = await findGo(process.env);
  if (go === null) return { missing: 'it is built from source, which needs Go' };
  const env = { ...process.env, GOFLAGS: '-mod=readonly', GOWORK: 'off', CGO_ENABLED: '0' };
  const run = (words) => runCommand(go.program, words, { cwd: SOURCE, env, timeoutMs: BUILD_MS });
  say(`building Tessera once, into ${path.relative(process.cwd(), BIN)}`);
  const fetched = await run(['mod', 'download']);
  if (fetched.code !== 0) return { missing: `its sources cannot be fetched: ${lastLine(fetched.output)}` };
  await mkdir(BIN, { recursive: true, mode: 0o700 });
  const fresh = await mkdtemp(path.join(BIN, 'building-'));
  try {
    const hammer = 'github.com/transparency-dev/tessera/internal/hammer';
    const built = await run([
      'build',
      '-trimpath',
      '-ldflags',
      '-s -w',
      '-o',
      `${fresh}${path.sep}`,
      '.',
      hammer,
    ]);
    if (built.code !== 0) throw new Error(`building Tessera failed: ${lastLine(built.output)}`);
    await chmod(fresh, 0o755);
    await rename(fresh, folder).catch(async (error) => {
      if (!(await isThere())) throw error;
    });
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  return programs;
}

/**
 * A log of Tessera's in a fresh folder below `parent`, with antispam.
 *
 * @param {{ program: string, parent: string, batchAgeMs: number, checkpointMs: number, awaited: boolean }} options
 * `awaited`: it answers when a signed checkpoint covers the entry, else when the entry is in the tree.
 */
export async function startTessera({ program, parent, batchAgeMs, checkpointMs, awaited }) {
  const folder = await mkdtemp(path.join(parent, 'tessera-'));
  const child = spawn(
    program,
    [
      `-folder=${folder}`,
      `-batch_age=${batchAgeMs}ms`,
      `-checkpoint_interval=${checkpointMs}ms`,
      ...(awaited ? ['-await'] : []),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (said = (said + text).slice(-4_000)));
  const ended = once(child, 'exit');
  const part = {
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
        await ended;
        clearTimeout(timer);
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    const [line] = await Promise.race([
      once(createInterface({ input: child.stdout }), 'line', { signal: AbortSignal.timeout(READY_MS) }),
      ended.then(() => Promise.reject(new Error(`Tessera's server ended: ${said}`))),
    ]);
    return Object.assign(part, { pid: child.pid, ...JSON.parse(line) });
  } catch (error) {
    await part[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * Tessera's hammer against a log, writers only. It ends by itself.
 *
 * @param {{ program: string, port: number, vkey: string, writers: number, leafBytes: number, dupChance: number, seconds: number }} options
 * @returns {{ ended: Promise<string> } & AsyncDisposable} `ended`: what it said last.
 */
export function startHammer({ program, port, vkey, writers, leafBytes, dupChance, seconds }) {
  const child = spawn(
    program,
    [
      `--log_url=http://127.0.0.1:${port}/`,
      `--log_public_key=${vkey}`,
      `--num_writers=${writers}`,
      `--leaf_min_size=${leafBytes}`,
      `--dup_chance=${dupChance}`,
      `--max_write_ops=${UNCAPPED}`,
      '--num_readers_random=0',
      '--num_readers_full=0',
      '--show_ui=false',
      `--max_runtime=${seconds}s`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (said = (said + text).slice(-8_000)));
  const exit = once(child, 'exit');
  return {
    ended: exit.then(() => said),
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await exit;
    },
  };
}

const lastLine = (/** @type {string} */ output) => output.trim().split('\n').at(-1) ?? '';
