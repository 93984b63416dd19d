import { constants } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import path from 'node:path';

const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/** Replaces a file that must survive a crash: the old or the new text, whole, and the new one once this returns. */
export async function writeWhole(
  file: string,
  text: string,
  /** For tests: the new file lies beside the old one. */
  beside: () => void | Promise<void> = () => undefined,
): Promise<void> {
  const folder = path.dirname(file);
  await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  // Another process may be about the same: the last one stays, whole.
  const next = `${file}.${process.pid}.next`;
  const handle = await open(next, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, FILE_MODE);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await beside();
  await rename(next, file);
  const directory = await open(folder, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
