import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, realpath, rename, stat } from 'node:fs/promises';
import path from 'node:path';
import { type Account, serverAccount } from './account.ts';
import { EmbeddedError, reasonOf, systemCode } from './failure.ts';
import { stopLeftoverPostgres } from './postgres/leftover.ts';
import { readIfThere, writePrivate } from './private-file.ts';

/** Where the state of one stack lies. */
export interface StateFolder {
  /** `.beacon`, absolute, 0700. */
  path: string;
  logs: string;
  /** Pid files of the processes under way. */
  run: string;
  lockFile: string;
  stateFile: string;
  tokenFile: string;
  /**
   * What other accounts must reach (PostgreSQL's data, job folders, unpacked images): `.beacon` itself, for root a
   * folder under `/var/lib/beacon`, since root's checkout may be closed to them.
   */
  reachable: string;
  /** Who runs PostgreSQL; null: we ourselves. */
  account: Account | null;
}

export interface StateFolderOptions {
  /** Root's place for `reachable`; default `/var/lib/beacon`. */
  sharedRoot?: string;
  /** The database is DATABASE_URL's: none of ours can be missing. */
  databaseElsewhere?: boolean;
}

export const fileNames = (folder: string) => ({
  path: folder,
  logs: path.join(folder, 'logs'),
  run: path.join(folder, 'run'),
  lockFile: path.join(folder, 'lock'),
  stateFile: path.join(folder, 'stack.json'),
  tokenFile: path.join(folder, 'operator.token'),
});

/** Makes the folder, ours alone. Another user's is refused: its database would be out of sight, its files unreadable. */
export async function makeStateFolder(folder: string): Promise<ReturnType<typeof fileNames>> {
  try {
    await makeFolders(folder);
    const { uid } = await stat(folder);
    const own = process.getuid?.() ?? uid;
    if (uid !== own)
      throw new EmbeddedError(
        'state_foreign',
        `${folder} belongs to another user (uid ${uid}, we are ${own}); start as that user, or choose another folder with --state or BEACON_STATE`,
      );
    const held = await readdir(folder);
    if (held.length > 0 && !held.some((name) => OURS.has(name)))
      throw new EmbeddedError(
        'state_foreign',
        `${folder} holds other things and nothing of Beacon's; choose a new or an empty folder with --state or BEACON_STATE`,
      );
    await chmod(folder, 0o700);
    const names = fileNames(await realpath(folder));
    for (const inner of [names.logs, names.run]) await mkdir(inner, { recursive: true, mode: 0o700 });
    return names;
  } catch (error) {
    if (!UNUSABLE.includes(systemCode(error) ?? '')) throw error;
    throw foreignFolder(folder, error);
  }
}

/** What may be the first thing of ours in a state folder; anything else (`/tmp`, a home) must not be closed to others. */
const OURS = new Set([
  'keys',
  'logs',
  'run',
  'lock',
  'location',
  'bin',
  'temporal',
  'postgres',
  'demo',
  'trust.json',
]);

/** What the system says of a place where no folder of ours can be. */
const UNUSABLE = ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'ENOENT', 'ELOOP', 'ENAMETOOLONG'];

/**
 * One level after the other: Node's own recursive mkdir never ends where a folder that is there takes none (`/proc`).
 */
async function makeFolders(folder: string): Promise<void> {
  const missing: string[] = [];
  for (let at = folder; !(await isThere(at)) && at !== path.dirname(at); at = path.dirname(at))
    missing.unshift(at);
  for (const each of missing)
    await mkdir(each, { mode: 0o700 }).catch((error: unknown) => {
      if (systemCode(error) !== 'EEXIST') throw error;
    });
  // Fails for a file in its place, before anything is changed about that.
  await readdir(folder);
}

async function isThere(name: string): Promise<boolean> {
  try {
    await stat(name);
    return true;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return false;
    throw error;
  }
}

export const foreignFolder = (folder: string, cause: unknown): EmbeddedError =>
  new EmbeddedError(
    'state_foreign',
    `${folder} cannot be used (${systemCode(cause) ?? reasonOf(cause)}); is it another user's? Choose one of yours with --state or BEACON_STATE`,
    { cause },
  );

/** Finds or makes the part that other accounts reach. Call it under the lock of the folder. */
export async function placeState(
  names: ReturnType<typeof fileNames>,
  { sharedRoot = '/var/lib/beacon', databaseElsewhere = false }: StateFolderOptions = {},
): Promise<StateFolder & { setAside: string | null }> {
  const account = await serverAccount();
  const locationFile = path.join(names.path, 'location');
  const hash = createHash('sha256').update(names.path).digest('hex').slice(0, 16);
  const known = (await readIfThere(locationFile))?.trim() || undefined;
  const reachable = account === null ? names.path : (known ?? path.join(sharedRoot, hash));
  if (!databaseElsewhere) await requireDatabase(names.path, reachable, locationFile);
  if (account === null) return { ...names, reachable, account, setAside: null };
  const isNew = known === undefined && !(await holdsAny(names.path, [...SECRETS, ...LOG_FILES]));
  const setAside = isNew ? await setOldAside(reachable) : null;
  await mkdir(reachable, { recursive: true, mode: 0o711 });
  await chmod(path.dirname(reachable), 0o711);
  await chmod(reachable, 0o711);
  if (known === undefined) await writePrivate(locationFile, `${reachable}\n`);
  return { ...names, reachable, account, setAside };
}

/** What the log of a database leaves in the state folder: made after that database, worth nothing without it. */
const LOG_FILES = ['keys/log.pem', 'keys/receipt.pem', 'log-guard.json'];
/** What else a start leaves there, the earliest first. */
const SECRETS = ['operator.token', 'postgres.superuser.password', 'postgres.password'];

async function holdsAny(folder: string, files: readonly string[]): Promise<boolean> {
  const there = await Promise.all(files.map((file) => isThere(path.join(folder, file))));
  return there.includes(true);
}

/** Keys of a log whose database is gone: a new database in its place would be taken for the loss of every job. */
async function requireDatabase(folder: string, reachable: string, locationFile: string): Promise<void> {
  const data = path.join(reachable, 'postgres', 'data');
  if ((await isThere(path.join(data, 'PG_VERSION'))) || !(await holdsAny(folder, LOG_FILES))) return;
  const where =
    reachable === folder
      ? 'put it back'
      : `put it back, or write the folder that holds postgres/data into ${locationFile}`;
  throw new EmbeddedError(
    'database_missing',
    `${folder} holds the keys of a log whose database ${data} is missing: ${where}; to start anew, choose another folder with --state or remove ${folder}`,
  );
}

/** The state folder was removed, and with it the keys that its database belongs to: that database is kept, unused. */
async function setOldAside(reachable: string): Promise<string | null> {
  const there = await stat(reachable).then(
    () => true,
    () => false,
  );
  if (!there) return null;
  await stopLeftoverPostgres(path.join(reachable, 'postgres', 'data'));
  const aside = `${reachable}.unused-${new Date().toISOString().replaceAll(':', '')}`;
  await rename(reachable, aside);
  return aside;
}
