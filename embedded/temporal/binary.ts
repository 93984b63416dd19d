import { constants } from 'node:fs';
import { access, copyFile, link, mkdir, rename, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { runCommand } from '../command.ts';
import { EmbeddedError, reasonOf } from '../failure.ts';
import { takeLock } from '../folder-lock.ts';
import { BUILD_LOCK_MS, TEMPORAL_VERSION_MS } from '../limits.ts';
import { type Progress, silentProgress } from '../progress.ts';
import { waitUntil } from '../wait-until.ts';
import { buildTemporal, findGo } from './build.ts';
import { downloadTemporal } from './download.ts';
import { pinnedTemporal } from './pinned.ts';

export type BinarySource = 'TEMPORAL_CLI_PATH' | 'PATH' | 'state' | 'cache' | 'download' | 'build';

export interface TemporalBinary {
  path: string;
  source: BinarySource;
  /** First line of `temporal --version`. */
  version: string;
}

export interface FindBinaryOptions {
  /** `.beacon`: the copy lies in its `bin/`, the build's log in its `logs/`. */
  stateFolder: string;
  env?: NodeJS.ProcessEnv;
  progress?: Progress;
  signal?: AbortSignal | undefined;
}

/** What the program says about itself, or null when it is not a Temporal CLI that runs here. */
export async function temporalVersion(program: string, signal?: AbortSignal): Promise<string | null> {
  const { code, output } = await runCommand(program, ['--version'], {
    timeoutMs: TEMPORAL_VERSION_MS,
    signal,
  });
  return code === 0 && /^temporal version /m.test(output) ? (output.trim().split('\n')[0] ?? null) : null;
}

/** Shared by all checkouts of this user, so that a second clone builds nothing; null where there is no home. */
function cacheFolder(env: NodeJS.ProcessEnv): string | null {
  if (env.XDG_CACHE_HOME !== undefined && path.isAbsolute(env.XDG_CACHE_HOME))
    return path.join(env.XDG_CACHE_HOME, 'beacon');
  const home = env.HOME ?? os.homedir();
  return path.isAbsolute(home) ? path.join(home, '.cache', 'beacon') : null;
}

async function onPath(env: NodeJS.ProcessEnv): Promise<string | null> {
  for (const folder of (env.PATH ?? '').split(path.delimiter)) {
    if (!path.isAbsolute(folder)) continue;
    const file = path.join(folder, 'temporal');
    if (
      await stat(file).then(
        (found) => found.isFile(),
        () => false,
      )
    )
      return file;
  }
  return null;
}

/** A binary that another account could have put there is not run. */
async function isTrusted(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => null);
  if (!found?.isFile()) return false;
  const owner = process.getuid?.() ?? found.uid;
  return (found.uid === owner || found.uid === 0) && (found.mode & 0o022) === 0;
}

/** Where a binary may already be, without downloading or building anything. */
export async function knownTemporalBinary(options: FindBinaryOptions): Promise<TemporalBinary | null> {
  const { stateFolder, env = process.env, signal } = options;
  const chosen = env.TEMPORAL_CLI_PATH;
  if (chosen !== undefined && chosen !== '') {
    const version = await temporalVersion(chosen, signal);
    if (version !== null) return { path: chosen, source: 'TEMPORAL_CLI_PATH', version };
    throw new EmbeddedError(
      'temporal_unavailable',
      `TEMPORAL_CLI_PATH=${chosen} is not a Temporal CLI that runs here; correct it or unset it`,
    );
  }
  const { name } = pinnedTemporal();
  const cache = cacheFolder(env);
  const candidates: [BinarySource, string | null][] = [
    ['PATH', await onPath(env)],
    ['state', path.join(stateFolder, 'bin', name)],
    ['cache', cache === null ? null : path.join(cache, name)],
  ];
  for (const [source, file] of candidates) {
    if (file === null || (source !== 'PATH' && !(await isTrusted(file)))) continue;
    const version = await temporalVersion(file, signal);
    if (version === null) continue;
    return { path: file, source, version };
  }
  return null;
}

/** A second name of the same file where the file system can, else a copy; in place whole or not at all. */
async function placeIn(folder: string, file: string, name: string): Promise<string> {
  const target = path.join(folder, name);
  const fresh = `${target}.${process.pid}.new`;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await rm(fresh, { force: true });
  await link(file, fresh).catch(() => copyFile(file, fresh));
  await rename(fresh, target);
  await rm(fresh, { force: true });
  return target;
}

/**
 * The Temporal server program: TEMPORAL_CLI_PATH, PATH, the copy under `.beacon/bin`, the user's cache, the official
 * download, and at last a build from the pinned official source.
 */
export async function findTemporalBinary(options: FindBinaryOptions): Promise<TemporalBinary> {
  const { stateFolder, env = process.env, progress = silentProgress, signal } = options;
  const pinned = pinnedTemporal();
  const binFolder = path.join(stateFolder, 'bin');
  const placed = async (found: TemporalBinary): Promise<TemporalBinary> =>
    found.source === 'cache' ? { ...found, path: await placeIn(binFolder, found.path, pinned.name) } : found;
  const known = await knownTemporalBinary(options);
  if (known) return await placed(known);
  await mkdir(binFolder, { recursive: true, mode: 0o700 });
  const workFolder = await writableFolder(cacheFolder(env), binFolder);
  await using _lock = await lockWhenFree(path.join(workFolder, `${pinned.name}.lock`), progress, signal);
  // Another start may have finished it while we waited.
  const made = await knownTemporalBinary(options);
  if (made) return await placed(made);
  const fresh = path.join(workFolder, `${pinned.name}.${process.pid}.new`);
  try {
    const source = await obtain(fresh, options);
    const version = await temporalVersion(fresh, signal);
    if (version === null)
      throw new EmbeddedError(
        'temporal_unavailable',
        `the Temporal CLI from ${source} does not run on this machine`,
      );
    const kept = path.join(workFolder, pinned.name);
    await rename(fresh, kept);
    const file = workFolder === binFolder ? kept : await placeIn(binFolder, kept, pinned.name);
    return { path: file, source, version };
  } finally {
    await rm(fresh, { force: true });
  }
}

async function obtain(file: string, options: FindBinaryOptions): Promise<'download' | 'build'> {
  const { stateFolder, env = process.env, progress = silentProgress, signal } = options;
  const { version } = pinnedTemporal();
  let whyNoDownload: string;
  try {
    await downloadTemporal({ version, file, env, progress, signal });
    return 'download';
  } catch (error) {
    signal?.throwIfAborted();
    whyNoDownload = reasonOf(error);
  }
  const maySelfBuild = env.BEACON_TEMPORAL_BUILD !== 'off';
  const go = maySelfBuild ? await findGo(env) : null;
  if (go === null)
    throw new EmbeddedError(
      'temporal_unavailable',
      `no Temporal server: the download failed (${whyNoDownload}) and ${maySelfBuild ? 'Go is not installed to build it' : 'BEACON_TEMPORAL_BUILD=off forbids to build it'}; install the Temporal CLI (https://docs.temporal.io/cli) or Go (https://go.dev/dl), or set TEMPORAL_ADDRESS`,
    );
  progress.say(
    `Temporal: download failed (${whyNoDownload}); building it once from source with ${go.version}`,
  );
  const logs = path.join(stateFolder, 'logs');
  await mkdir(logs, { recursive: true, mode: 0o700 });
  await buildTemporal({
    go,
    version,
    file,
    env,
    logFile: path.join(logs, 'temporal-build.log'),
    progress,
    signal,
  });
  return 'build';
}

async function writableFolder(wanted: string | null, otherwise: string): Promise<string> {
  if (wanted === null) return otherwise;
  try {
    await mkdir(wanted, { recursive: true, mode: 0o700 });
    await access(wanted, constants.W_OK | constants.X_OK);
    return wanted;
  } catch {
    return otherwise;
  }
}

async function lockWhenFree(
  file: string,
  progress: Progress,
  signal?: AbortSignal,
): Promise<AsyncDisposable> {
  let lock: AsyncDisposable | undefined;
  const began = performance.now();
  await waitUntil(
    async () => {
      try {
        lock = await takeLock(file, 'getting the Temporal server');
        return true;
      } catch (error) {
        if (!(error instanceof EmbeddedError) || performance.now() - began > BUILD_LOCK_MS - 1_000)
          throw error;
        progress.update(
          `Temporal: another process is getting it; waiting, ${Math.round((performance.now() - began) / 1000)} s`,
        );
        return false;
      }
    },
    { timeoutMs: BUILD_LOCK_MS, everyMs: 500, signal },
  );
  if (!lock) throw new EmbeddedError('temporal_unavailable', `${file} stayed locked`);
  return lock;
}
