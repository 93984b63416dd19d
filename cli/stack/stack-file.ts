import path from 'node:path';
import { z } from 'zod';
import { CliError } from '../failure.ts';
import { readRegularFile } from '../regular-file.ts';

/** A stack's description of itself takes a few kilobytes. */
const STACK_FILE_BYTES = 1024 * 1024;

/** What a running stack writes about itself, as far as a client needs it (embedded/stack.ts writes it). */
const stackFile = z
  .looseObject({ api: z.looseObject({ url: z.string() }).optional() })
  .transform(({ api }) => ({ apiUrl: api?.url }));
export interface StackFile {
  /** Not there while the stack starts. */
  apiUrl?: string | undefined;
}

/**
 * The stack of `stateDir`, or undefined when none wrote itself down there. Whether it still runs is another question. A
 * file that cannot be read or understood is told: to go on without it would be to speak to another stack.
 */
export async function readStackFile(stateDir: string): Promise<StackFile | undefined> {
  const file = path.join(stateDir, 'stack.json');
  const read = await readRegularFile(file, STACK_FILE_BYTES);
  if (read === undefined) return undefined;
  try {
    return stackFile.parse(JSON.parse(read.bytes.toString('utf8')));
  } catch (cause) {
    throw new CliError('input_invalid', `${file} is damaged`, {
      next: '`beacon down` ends what runs there and removes it; --api URL names a service without it',
      cause,
    });
  }
}

/** Made by `beacon up`, readable by its owner alone. */
export function operatorTokenFile(stateDir: string): string {
  return path.join(stateDir, 'operator.token');
}
