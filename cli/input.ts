import { open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Context } from './context.ts';
import { CliError, codeOf, reasonOf } from './failure.ts';

/** The bytes of `file`, or of standard input for `-`; refused above `maxBytes`. */
export async function readInput(context: Context, file: string, maxBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  const take = (part: Uint8Array): void => {
    size += part.length;
    if (size > maxBytes)
      throw new CliError('input_invalid', `${nameOf(file)} is larger than ${maxBytes} bytes`);
    parts.push(part);
  };
  if (file === '-') {
    for await (const part of context.io.stdin) take(part);
    return Buffer.concat(parts, size);
  }
  try {
    const handle = await open(path.resolve(context.io.cwd, file), 'r');
    for await (const part of handle.createReadStream({ highWaterMark: 256 * 1024 })) take(part as Uint8Array);
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    const why = codeOf(cause) === 'ENOENT' ? 'no such file' : reasonOf(cause);
    throw new CliError('input_unreadable', `cannot read ${file}: ${why}`, { cause });
  }
  return Buffer.concat(parts, size);
}

/** Writes a result to a file, over what is there. */
export async function writeOutput(context: Context, file: string, bytes: Uint8Array | string): Promise<void> {
  try {
    await writeFile(path.resolve(context.io.cwd, file), bytes);
  } catch (cause) {
    throw new CliError('output_unwritable', `cannot write ${file}: ${reasonOf(cause)}`, { cause });
  }
}

export function nameOf(file: string): string {
  return file === '-' ? 'standard input' : file;
}
