import { closeSync, constants, openSync } from 'node:fs';
import { copyFile, open, stat, truncate } from 'node:fs/promises';
import { LOG_CHECK_MS, LOG_FILE_BYTES } from './limits.ts';

/**
 * Child processes append to their log files themselves, through an inherited descriptor, so that their last lines are
 * kept even when the supervisor is killed. A file that grew too large is copied to `<file>.1` and emptied in place
 * (lines written in that instant may be lost).
 */
export function openLog(file: string): { fd: number } & Disposable {
  const fd = openSync(file, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o600);
  return { fd, [Symbol.dispose]: () => closeSync(fd) };
}

export async function rotate(file: string, limitBytes = LOG_FILE_BYTES): Promise<void> {
  if ((await sizeOf(file)) <= limitBytes) return;
  await copyFile(file, `${file}.1`);
  await truncate(file, 0);
}

/** Keeps the files small until disposed. */
export function keepLogsSmall(files: () => readonly string[], limitBytes = LOG_FILE_BYTES): Disposable {
  const timer = setInterval(() => {
    // A full disk must not end the supervisor; the next round tries again.
    for (const file of files()) rotate(file, limitBytes).catch(() => undefined);
  }, LOG_CHECK_MS);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

export async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    (found) => found.size,
    () => 0,
  );
}

/** The last bytes of a file as text, from `since` on. */
export async function tailOf(file: string, maxBytes = 2_000, since = 0): Promise<string> {
  const handle = await open(file, 'r').catch(() => null);
  if (handle === null) return '';
  try {
    const { size } = await handle.stat();
    const start = Math.max(size - maxBytes, Math.min(since, size));
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - start), 0, size - start, start);
    return buffer.subarray(0, bytesRead).toString('utf8');
  } finally {
    await handle.close();
  }
}
