import { createHash } from 'node:crypto';
import { chmod, mkdir, realpath, rename, stat } from 'node:fs/promises';
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
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const { uid } = await stat(folder);
    const own = process.getuid?.() ?? uid;
    if (uid !== own)
      throw new EmbeddedError(
        'state_foreign',
        `${folder} belongs to another user (uid ${uid}, we are ${own}); start as that user, or choose another folder with BEACON_STATE`,
      );
    await chmod(folder, 0o700);
    const names = fileNames(await realpath(folder));
    for (const inner of [names.logs, names.run]) await mkdir(inner, { recursive: true, mode: 0o700 });
    return names;
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST'].includes(systemCode(error) ?? '')) throw error;
    throw foreignFolder(folder, error);
  }
}

export const foreignFolder = (folder: string, cause: unknown): EmbeddedError =>
  new EmbeddedError(
    'state_foreign',
    `${folder} cannot be used (${systemCode(cause) ?? reasonOf(cause)}); is it another user's? Choose one of yours with BEACON_STATE`,
    { cause },
  );

/** Finds or makes the part that other accounts reach. Call it under the lock of the folder. */
export async function placeState(
  names: ReturnType<typeof fileNames>,
  { sharedRoot = '/var/lib/beacon' }: StateFolderOptions = {},
): Promise<StateFolder & { setAside: string | null }> {
  const account = await serverAccount();
  if (account === null) return { ...names, reachable: names.path, account, setAside: null };
  const locationFile = path.join(names.path, 'location');
  const hash = createHash('sha256').update(names.path).digest('hex').slice(0, 16);
  const known = (await readIfThere(locationFile))?.trim();
  const reachable = known ?? path.join(sharedRoot, hash);
  const setAside = known === undefined ? await setOldAside(reachable) : null;
  await mkdir(reachable, { recursive: true, mode: 0o711 });
  await chmod(path.dirname(reachable), 0o711);
  await chmod(reachable, 0o711);
  if (known === undefined) await writePrivate(locationFile, `${reachable}\n`);
  return { ...names, reachable, account, setAside };
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
