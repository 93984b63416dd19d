import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isRoot, type JobUser } from './job-users.ts';

const run = promisify(execFile);

/** One attempt's files: `in/input.json` (read-only), `out/` and `tmp/` (the job's), the pipes of its streams. */
export interface JobFolder {
  path: string;
  input: string;
  inputFolder: string;
  output: string;
  tmp: string;
}

/** Passable but not listable for the jobs' users; an ordinary user's jobs are that user. */
const PASSABLE = isRoot() ? 0o711 : 0o700;

/**
 * A folder of the state folder (`jobs`, `programs`, `images`) that jobs may pass through. An existing state folder keeps
 * its mode: it may be private on purpose, and then the probe says that jobs cannot reach it.
 */
export async function stateSubfolder(stateFolder: string, name: string): Promise<string> {
  const path = join(stateFolder, name);
  const firstMade = await mkdir(path, { recursive: true, mode: PASSABLE });
  if (firstMade !== undefined && isRoot()) {
    await chmod(path, PASSABLE);
    if (stateFolder.startsWith(firstMade)) await chmod(stateFolder, PASSABLE);
  }
  return path;
}

export async function createJobFolder(
  stateFolder: string,
  name: string,
  input: Uint8Array,
  user: JobUser | null,
): Promise<JobFolder> {
  const path = join(await stateSubfolder(stateFolder, 'jobs'), name);
  await removeFolder(path);
  await mkdir(path, { mode: PASSABLE });
  const folder: JobFolder = {
    path,
    inputFolder: join(path, 'in'),
    input: join(path, 'in', 'input.json'),
    output: join(path, 'out'),
    tmp: join(path, 'tmp'),
  };
  await mkdir(folder.inputFolder);
  await chmod(folder.inputFolder, 0o755);
  await writeFile(folder.input, input);
  await chmod(folder.input, 0o444);
  for (const own of [folder.output, folder.tmp]) {
    await mkdir(own, { mode: 0o700 });
    if (user !== null) await chown(own, user.uid, user.gid);
  }
  return folder;
}

/** Removes a folder that a job wrote to; a job may have taken its own permissions away. */
export async function removeFolder(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch {
    await run('chmod', ['-R', 'u+rwX', path]).catch(() => undefined);
    await rm(path, { recursive: true, force: true });
  }
}

export async function jobFolderNames(stateFolder: string): Promise<string[]> {
  return readdir(join(stateFolder, 'jobs')).catch(() => []);
}
