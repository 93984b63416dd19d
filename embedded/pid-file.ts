import { mkdirSync, writeFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import {
  endProcess,
  isAlive,
  type ProcessIdentity,
  processIdentity,
  type StopStep,
} from './process-identity.ts';
import { readIfThere } from './private-file.ts';

/** What an earlier run left behind gets this long to end by itself: its supervisor is gone, nobody waits for it. */
const LEFTOVER_STEPS: readonly StopStep[] = [{ signal: 'SIGTERM', graceMs: 10_000 }];

/** Written in the same breath as the spawn, so that a killed supervisor leaves no process that nobody knows. */
export function writePidFile(folder: string, name: string, identity: ProcessIdentity): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(path.join(folder, `${name}.json`), JSON.stringify(identity), { mode: 0o600 });
}

export async function removePidFile(folder: string, name: string): Promise<void> {
  await rm(path.join(folder, `${name}.json`), { force: true });
}

/** Ends the processes that the pid files name, if they still are those processes; answers their names. */
export async function endLeftovers(folder: string, steps = LEFTOVER_STEPS): Promise<string[]> {
  const files = await readdir(folder).catch(() => []);
  const ended = await Promise.all(
    files
      .filter((file) => file.endsWith('.json'))
      .map(async (file) => {
        const identity = await readIdentity(path.join(folder, file));
        const alive = identity !== null && isAlive(identity);
        if (alive) await endProcess(identity, steps);
        await rm(path.join(folder, file), { force: true });
        return alive ? [path.basename(file, '.json')] : [];
      }),
  );
  return ended.flat();
}

async function readIdentity(file: string): Promise<ProcessIdentity | null> {
  try {
    return processIdentity.parse(JSON.parse((await readIfThere(file)) ?? ''));
  } catch {
    return null;
  }
}
