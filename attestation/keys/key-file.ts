import * as crypto from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, mkdir, open, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { KeyError } from './error.ts';

/** Key files are 0600 in a 0700 folder (spec: core §10); anything wider is refused rather than repaired. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;
const WIDER_THAN_OWNER = 0o077;

/** Where a private key comes from: the PEM itself (from the environment) or a file. */
export interface KeySource {
  pem?: string | undefined;
  file: string;
}

/** The private key as it stands in the environment or the file, or undefined when there is neither. */
export async function readKey({ pem, file }: KeySource): Promise<crypto.KeyObject | undefined> {
  if (pem !== undefined && pem !== '') return parse(pem, 'the environment');
  let handle: FileHandle;
  try {
    handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new KeyError('key_file_unreadable', `cannot read the key file ${file}`, cause);
  }
  try {
    const { mode } = await handle.stat();
    refuseWider(mode, file, 'chmod 600');
    refuseWider((await lstat(path.dirname(file))).mode, path.dirname(file), 'chmod 700');
    return parse(await handle.readFile('utf8'), file);
  } finally {
    await handle.close();
  }
}

/**
 * Creates the key file and its folder; made whole on disk before it returns. When somebody else creates the file at the
 * same time, his key is the one.
 */
export async function createKey(file: string, generate: () => crypto.KeyObject): Promise<crypto.KeyObject> {
  const folder = path.dirname(file);
  await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  refuseWider((await lstat(folder)).mode, folder, 'chmod 700');
  const key = generate();
  let handle: FileHandle;
  try {
    handle = await open(file, 'wx', FILE_MODE);
  } catch (cause) {
    const theirs = (cause as NodeJS.ErrnoException).code === 'EEXIST' ? await readKey({ file }) : undefined;
    if (theirs !== undefined) return theirs;
    throw new KeyError('key_file_unreadable', `cannot create the key file ${file}`, cause);
  }
  try {
    await handle.writeFile(key.export({ format: 'pem', type: 'pkcs8' }));
    await handle.sync();
  } finally {
    await handle.close();
  }
  const directory = await open(folder, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
  return key;
}

function parse(pem: string, from: string): crypto.KeyObject {
  try {
    return crypto.createPrivateKey(pem);
  } catch (cause) {
    throw new KeyError('key_file_unreadable', `${from} holds no private key in PEM`, cause);
  }
}

function refuseWider(mode: number, file: string, remedy: string): void {
  if ((mode & WIDER_THAN_OWNER) === 0) return;
  const octal = (mode & 0o777).toString(8);
  throw new KeyError('key_file_modes', `${file} is open to others (mode ${octal}): ${remedy} ${file}`);
}
