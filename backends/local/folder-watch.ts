import { lstat, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BOUNDS, WAITS } from './bounds.ts';
import { processesOfUser } from './process-table.ts';

const BLOCK_BYTES = 512;
/** A hostile job can make a look expensive; looking takes at most a tenth of the time. */
const REST_PER_LOOK = 9;

export type Overfull = 'folder_bytes' | 'folder_entries';

/**
 * Nothing bounds a bound folder as a whole, so it is measured while the program runs. `uid`: the job's own user, whose
 * open files without a name count as well; null where the job has no user of its own.
 */
export function watchFolder(folder: string, uid: number | null, onFull: (why: Overfull) => void): Disposable {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const look = async (): Promise<void> => {
    const begin = performance.now();
    const why = await overfull(folder, uid).catch(() => null);
    if (stopped) return;
    if (why !== null) onFull(why);
    const tookMs = performance.now() - begin;
    timer = setTimeout(() => void look(), Math.max(WAITS.folderWatchMs, REST_PER_LOOK * tookMs));
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
async function overfull(folder: string, uid: number | null): Promise<Overfull | null> {
  const open = [folder];
  let bytes = 0;
  let entries = 0;
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const name of await readdir(next).catch(() => [])) {
      if (++entries > BOUNDS.folderEntries) return 'folder_entries';
      const path = join(next, name);
      const found = await lstat(path).catch(() => null);
      if (found === null) continue;
      bytes += found.blocks * BLOCK_BYTES;
      if (bytes > BOUNDS.folderBytes) return 'folder_bytes';
      if (found.isDirectory()) open.push(path);
    }
  }
  if (uid !== null) bytes += await namelessBytes(folder, uid);
  return bytes > BOUNDS.folderBytes ? 'folder_bytes' : null;
}

/** What a user's processes hold open or mapped of the folder's file system after its name was taken away. */
async function namelessBytes(folder: string, uid: number): Promise<number> {
  const { dev } = await stat(folder);
  const counted = new Set<number>();
  let bytes = 0;
  for (const pid of processesOfUser(uid)) {
    for (const held of [`/proc/${pid}/fd`, `/proc/${pid}/map_files`]) {
      for (const name of await readdir(held).catch(() => [])) {
        const file = await stat(join(held, name)).catch(() => null);
        if (file === null || file.dev !== dev || file.nlink > 0 || !file.isFile()) continue;
        if (counted.has(file.ino)) continue;
        counted.add(file.ino);
        bytes += file.blocks * BLOCK_BYTES;
      }
    }
  }
  return bytes;
}
