import path from 'node:path';
import { z } from 'zod';
import { silentProgress } from './progress.ts';
import { readIfThere, rememberedIn } from './private-file.ts';

const storedPort = z.object({ port: z.number().int().min(1).max(65_535) });

/** The database of the stack of this state folder, as its owner; null when no embedded one was ever started there. */
export async function embeddedDatabaseUrl(stateFolder: string): Promise<string | null> {
  const file = (name: string) => path.join(stateFolder, name);
  const password = (await readIfThere(file('postgres.password')))?.trim();
  const known = await rememberedIn(file('postgres.port.json'), storedPort, silentProgress);
  if (password === undefined || known === undefined) return null;
  return `postgres://beacon:${encodeURIComponent(password)}@127.0.0.1:${known.port}/beacon`;
}
