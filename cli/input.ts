import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Context } from './context.ts';
import { CliError, fileReasonOf } from './failure.ts';
import { collect, readRegularFile } from './regular-file.ts';

/** The bytes of `file`, or of standard input for `-`; refused above `maxBytes`. */
export async function readInput(context: Context, file: string, maxBytes: number): Promise<Uint8Array> {
  const { io } = context;
  if (file === '-') return collect(untilAborted(io.stdin, io.signal), maxBytes, nameOf(file));
  const read = await readRegularFile(path.resolve(io.cwd, file), maxBytes, file);
  if (read !== undefined) return read.bytes;
  throw new CliError('input_unreadable', `cannot read ${file}: no such file`);
}

/** A terminal may never say anything: Ctrl-C has to end the waiting. */
async function* untilAborted(
  parts: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const iterator = parts[Symbol.asyncIterator]();
  const aborted = new Promise<never>((_resolve, reject) => {
    const abort = (): void => reject(new CliError('interrupted', 'interrupted', { cause: signal.reason }));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
  });
  aborted.catch(() => undefined);
  for (;;) {
    const next = await Promise.race([iterator.next(), aborted]);
    if (next.done === true) return;
    yield next.value;
  }
}

/** Writes a result to a file, over what is there. */
export async function writeOutput(context: Context, file: string, bytes: Uint8Array | string): Promise<void> {
  if (file === '-') {
    throw new CliError('usage', 'a result is written to a file, and - is none', {
      next: 'leave it out, and the result goes to standard output, where it can',
    });
  }
  try {
    await writeFile(path.resolve(context.io.cwd, file), bytes);
  } catch (cause) {
    throw new CliError('output_unwritable', `cannot write ${file}: ${fileReasonOf(cause)}`, { cause });
  }
}

export function nameOf(file: string): string {
  return file === '-' ? 'standard input' : file;
}
