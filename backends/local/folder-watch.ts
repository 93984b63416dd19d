import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BOUNDS, WAITS } from './bounds.ts';

const BLOCK_BYTES = 512;

/** Nothing bounds a bound folder as a whole, so it is measured while the program runs. */
export function watchFolder(
  folder: string,
  onFull: (why: 'folder_bytes' | 'folder_entries') => void,
): Disposable {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const look = async (): Promise<void> => {
    const why = await overfull(folder).catch(() => null);
    if (stopped) return;
    if (why !== null) onFull(why);
    timer = setTimeout(() => void look(), WAITS.folderWatchMs);
  };
  timer = setTimeout(() => void look(), WAITS.folderWatchMs);
  return {
    [Symbol.dispose]() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

/** Stops counting at the first bound that is passed; the tree may change under it, so what vanishes is skipped. */
async function overfull(folder: string): Promise<'folder_bytes' | 'folder_entries' | null> {
  const open = [folder];
  let bytes = 0;
  let entries = 0;
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const name of await readdir(next).catch(() => [])) {
      if (++entries > BOUNDS.folderEntries) return 'folder_entries';
      const path = join(next, name);
      const stat = await lstat(path).catch(() => null);
      if (stat === null) continue;
      bytes += stat.blocks * BLOCK_BYTES;
      if (bytes > BOUNDS.folderBytes) return 'folder_bytes';
      if (stat.isDirectory()) open.push(path);
    }
  }
  return null;
}
