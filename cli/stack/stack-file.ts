import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';

/** What a running stack writes about itself, as far as a client needs it (embedded/stack.ts writes it). */
const stackFile = z
  .looseObject({ api: z.looseObject({ url: z.string() }) })
  .transform(({ api }) => ({ apiUrl: api.url }));
export type StackFile = z.infer<typeof stackFile>;

/** The stack of `stateDir`, or undefined when none wrote itself down there. Whether it still runs is another question. */
export async function readStackFile(stateDir: string): Promise<StackFile | undefined> {
  let text: string;
  try {
    text = await readFile(path.join(stateDir, 'stack.json'), 'utf8');
  } catch {
    return undefined;
  }
  try {
    return stackFile.parse(JSON.parse(text));
  } catch {
    // Half-written by a stack that was killed: as good as none.
    return undefined;
  }
}

/** Made by `beacon up`, readable by its owner alone. */
export function operatorTokenFile(stateDir: string): string {
  return path.join(stateDir, 'operator.token');
}
