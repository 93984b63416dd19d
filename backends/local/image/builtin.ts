import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BOUNDS } from '../bounds.ts';
import { removeFolder, stateSubfolder } from '../job-folder.ts';
import { Refusal } from '../../refusal.ts';

/** A program of `examples/programs/<name>/`: some files, of which `run` is started. */
export interface BuiltinProgram {
  name: string;
  /** `sha256:…` over the canonical listing of its files. */
  digest: string;
  files: { path: string; bytes: Buffer }[];
}

/** The file that is executed. */
export const ENTRY = 'run';

/** `wanted`: the digest that it must have. */
export async function readProgram(
  programsFolder: string,
  name: string,
  wanted: string | null = null,
): Promise<BuiltinProgram> {
  const folder = join(programsFolder, name);
  let files: BuiltinProgram['files'];
  try {
    files = await readFiles(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Refusal('image_unavailable', `there is no builtin program "${name}"`, { cause: error });
  }
  if (!files.some((file) => file.path === ENTRY))
    throw new Refusal('image_invalid', `the builtin program "${name}" has no file "${ENTRY}"`);
  const digest = programDigest(files);
  if (wanted !== null && digest !== wanted)
    throw new Refusal(
      'image_unavailable',
      `the job runs "${name}" as ${wanted}, the builtin program of this machine is ${digest}`,
    );
  return { name, digest, files };
}

/** Digests of every program of a folder by name: what `beacon up` lists as allowed to run as a bare process. */
export async function programDigests(programsFolder: string): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  const entries = await readdir(programsFolder, { withFileTypes: true });
  for (const entry of entries.filter((found) => found.isDirectory()))
    digests[entry.name] = (await readProgram(programsFolder, entry.name)).digest;
  return digests;
}

/** SHA-256 over one line `<sha256 of the bytes>  <path>` per file, in the order of the paths' bytes (as `sha256sum` prints). */
export function programDigest(files: BuiltinProgram['files']): string {
  const listing = [...files]
    .sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)))
    .map((file) => `${createHash('sha256').update(file.bytes).digest('hex')}  ${file.path}\n`)
    .join('');
  return `sha256:${createHash('sha256').update(listing).digest('hex')}`;
}

/**
 * Puts the very bytes that were hashed where every job's user can read them, once per digest. The checkout itself may
 * lie where jobs cannot pass, and could change between hash and start.
 */
export async function installProgram(stateFolder: string, program: BuiltinProgram): Promise<string> {
  const programs = await stateSubfolder(stateFolder, 'programs');
  const target = join(programs, program.digest.replace(':', '-'));
  if (await exists(target)) return target;
  const draft = await mkdtemp(join(programs, 'draft-'));
  try {
    for (const file of program.files) {
      const path = join(draft, file.path);
      await mkdir(dirname(path), { recursive: true, mode: 0o755 });
      await writeFile(path, file.bytes);
      await chmod(path, file.path === ENTRY ? 0o555 : 0o444);
    }
    await chmod(draft, 0o755);
    await rename(draft, target).catch(async (error: unknown) => {
      if (!(await exists(target))) throw error;
    });
  } finally {
    await removeFolder(draft);
  }
  return target;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function readFiles(folder: string, prefix = ''): Promise<BuiltinProgram['files']> {
  const files: BuiltinProgram['files'] = [];
  let bytes = 0;
  for (const name of (await readdir(folder)).sort()) {
    const path = prefix === '' ? name : `${prefix}/${name}`;
    const found = await lstat(join(folder, name));
    if (found.isDirectory()) files.push(...(await readFiles(join(folder, name), path)));
    else if (found.isFile()) files.push({ path, bytes: await readFile(join(folder, name)) });
    else throw new Refusal('image_invalid', `"${path}" of a builtin program is no regular file`);
  }
  for (const file of files) bytes += file.bytes.length;
  if (files.length > BOUNDS.programFiles || bytes > BOUNDS.programBytes)
    throw new Refusal(
      'image_invalid',
      `a builtin program has at most ${BOUNDS.programFiles} files and ${BOUNDS.programBytes} bytes`,
    );
  return files;
}
