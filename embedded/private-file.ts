import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { z } from 'zod';
import { systemCode } from './failure.ts';
import type { Progress } from './progress.ts';

/** Writes a file for its owner's eyes only, whole or not at all, also when the machine stops in between. */
export async function writePrivate(file: string, content: string): Promise<void> {
  const fresh = `${file}.${randomBytes(6).toString('hex')}.new`;
  try {
    const handle = await open(fresh, 'wx', 0o600);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(fresh, file);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
  await syncFolder(path.dirname(file));
}

/** Makes a rename in this folder last. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function readIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null;
    throw error;
  }
}

/** What an earlier run chose and would like again; a file that cannot be understood counts as none. */
export async function rememberedIn<T>(
  file: string,
  shape: z.ZodType<T>,
  progress: Progress,
): Promise<T | undefined> {
  const text = await readIfThere(file);
  if (text === null) return undefined;
  try {
    return shape.parse(JSON.parse(text));
  } catch {
    progress.say(`${file} cannot be understood; choosing anew`);
    return undefined;
  }
}

/** The secret in `file`, made and stored at the first call. */
export async function secretIn(file: string): Promise<string> {
  const known = (await readIfThere(file))?.trim();
  if (known !== undefined && known !== '') return known;
  const secret = randomBytes(24).toString('base64url');
  await writePrivate(file, `${secret}\n`);
  return secret;
}
