import { constants, type Stats } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { CliError, codeOf, fileReasonOf } from './failure.ts';

const READ_BYTES = 256 * 1024;

export interface RegularFile {
  bytes: Buffer;
  stats: Stats;
}

/**
 * Reads a regular file of at most `maxBytes`; `shown` is its name in errors. Undefined when there is none. Anything else
 * (a folder, a device, a FIFO that nobody writes to) is refused, not waited for.
 */
export async function readRegularFile(
  file: string,
  maxBytes: number,
  shown: string = file,
): Promise<RegularFile | undefined> {
  let handle: FileHandle;
  try {
    // Without O_NONBLOCK opening a FIFO waits for a writer, where no Ctrl-C reaches it.
    handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw new CliError('input_unreadable', `cannot read ${shown}: ${fileReasonOf(cause)}`, { cause });
  }
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) {
      throw new CliError('input_unreadable', `${shown} is no regular file`, {
        next: 'a stream is read with -',
      });
    }
    const stream = handle.createReadStream({ highWaterMark: READ_BYTES, autoClose: false });
    return { bytes: await collect(stream as AsyncIterable<Uint8Array>, maxBytes, shown), stats };
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    throw new CliError('input_unreadable', `cannot read ${shown}: ${fileReasonOf(cause)}`, { cause });
  } finally {
    await handle.close();
  }
}

export async function collect(
  parts: AsyncIterable<Uint8Array>,
  maxBytes: number,
  shown: string,
): Promise<Buffer> {
  const taken: Uint8Array[] = [];
  let size = 0;
  for await (const part of parts) {
    size += part.length;
    if (size > maxBytes) throw new CliError('input_invalid', `${shown} is larger than ${maxBytes} bytes`);
    taken.push(part);
  }
  return Buffer.concat(taken, size);
}
