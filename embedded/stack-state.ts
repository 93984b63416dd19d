import { constants } from 'node:fs';
import { access, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { EmbeddedError, systemCode } from './failure.ts';
import { lockHolder, takeLock } from './folder-lock.ts';
import { POSTGRES_STOP_MS, ROLE_STOP_MS, TEMPORAL_STOP_MS } from './limits.ts';
import { endLeftovers } from './pid-file.ts';
import { stopLeftoverPostgres } from './postgres/leftover.ts';
import { readIfThere, writePrivate } from './private-file.ts';
import { isAlive, processIdentity, sendSignal } from './process-identity.ts';
import { fileNames, foreignFolder } from './state-folder.ts';
import { waitUntil } from './wait-until.ts';

const part = z.object({
  name: z.string(),
  /** Null while it is down. */
  process: processIdentity.nullable(),
  restarts: z.number().int(),
  log: z.string(),
});

const stackState = z.object({
  phase: z.enum(['starting', 'running', 'stopping']),
  supervisor: processIdentity,
  started_at: z.string(),
  api: z.object({ url: z.string() }).optional(),
  postgres: z
    .object({ embedded: z.boolean(), port: z.number().optional(), data: z.string().optional() })
    .optional(),
  temporal: z
    .object({
      embedded: z.boolean(),
      address: z.string(),
      ui_url: z.string().nullable(),
      binary: z.string().optional(),
    })
    .optional(),
  parts: z.array(part),
});

/** `.beacon/stack.json`: what runs, without secrets. */
export type StackState = z.infer<typeof stackState>;

export async function writeStackState(file: string, state: StackState): Promise<void> {
  await writePrivate(file, `${JSON.stringify(state, null, 2)}\n`);
}

export interface KnownStack extends StackState {
  /** False: its supervisor was killed and this is what it had last written. */
  alive: boolean;
  /** Parts with whether their process is there now. */
  parts: (StackState['parts'][number] & { alive: boolean })[];
}

/** The stack of a state folder, or null when none runs and none was killed there. */
export async function readStackState(folder: string): Promise<KnownStack | null> {
  const { stateFile } = fileNames(path.resolve(folder));
  const text = await readIfThere(stateFile).catch((error: unknown) => {
    throw foreignFolder(folder, error);
  });
  if (text === null) return null;
  let state: StackState;
  try {
    state = stackState.parse(JSON.parse(text));
  } catch {
    return null;
  }
  return {
    ...state,
    alive: isAlive(state.supervisor),
    parts: state.parts.map((entry) => ({
      ...entry,
      alive: entry.process !== null && isAlive(entry.process),
    })),
  };
}

/** All parts one after the other, each with its full grace. */
const STACK_STOP_MS = 3 * ROLE_STOP_MS + TEMPORAL_STOP_MS + POSTGRES_STOP_MS + 10_000;

export type StopResult = 'stopped' | 'leftovers_ended' | 'not_running';

/**
 * Stops the stack of a state folder: asks its supervisor and waits until it is gone. When that was killed, ends what
 * it left behind.
 */
export async function stopStack(
  folder: string,
  { signal }: { signal?: AbortSignal } = {},
): Promise<StopResult> {
  const names = fileNames(path.resolve(folder));
  const there = await access(names.path, constants.W_OK).then(
    () => true,
    (error: unknown) => {
      if (systemCode(error) === 'ENOENT') return false;
      throw foreignFolder(names.path, error);
    },
  );
  if (!there) return 'not_running';
  const holder = await lockHolder(names.lockFile);
  if (holder !== null) {
    sendSignal(holder.pid, 'SIGTERM');
    if (!(await waitUntil(() => !isAlive(holder), { timeoutMs: STACK_STOP_MS, signal })))
      throw new EmbeddedError(
        'state_locked',
        `process ${holder.pid} does not stop; look into ${names.logs}, or end it with "kill -9 ${holder.pid}" and run "beacon down" again`,
      );
  }
  // Also when it stopped: it may have been asked so early that it did not clean up.
  await using _lock = await takeLock(names.lockFile, 'beacon down');
  const location = (await readIfThere(path.join(names.path, 'location')))?.trim() ?? names.path;
  const ended = await endLeftovers(names.run);
  const postgres = await stopLeftoverPostgres(path.join(location, 'postgres', 'data'));
  await rm(names.stateFile, { force: true });
  if (holder !== null) return 'stopped';
  return ended.length > 0 || postgres === 'stopped' ? 'leftovers_ended' : 'not_running';
}
