import { constants } from 'node:fs';
import { link, open, rename } from 'node:fs/promises';
import path from 'node:path';
import { KeyError } from './error.ts';

/**
 * Puts the key of `next` in the place of `current`, which stays as `retired`. There is a key at `current` at every moment,
 * and the change is one rename, so a process that reads it gets the old or the new one, whole.
 */
export async function exchangeKeyFile(current: string, next: string, retired: string): Promise<void> {
  try {
    await link(current, retired).catch((error: unknown) => {
      // An exchange that was interrupted here is gone on with.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    });
    await rename(next, current);
    const folder = await open(path.dirname(current), constants.O_RDONLY);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (cause) {
    throw new KeyError('key_file_unreadable', `cannot put ${next} in the place of ${current}`, cause);
  }
}
