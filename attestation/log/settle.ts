import { pause } from '../../domain/pause.ts';
import { leadLog } from '../../store/log-leader.ts';
import { findLogById } from '../../store/log-state.ts';
import type { Pool } from '../../store/pool.ts';
import type { LogKeyring } from '../keys/log-keyring.ts';
import type { Guard } from './guard.ts';
import { loadLog } from './load.ts';
import { publishHead } from './publish.ts';
import { checkpointSigners } from './signers.ts';

/** A relay that leads signs within milliseconds; one that does not by then will not. */
const OTHERS_MS = 3_000;
const LOOK_EVERY_MS = 50;

export interface SettleOptions {
  pool: Pool;
  databaseUrl: string;
  logId: string;
  guard: Guard;
  /** The log's keys, when it comes to signing here. */
  logKeys: () => Promise<LogKeyring>;
  /** Whether witnesses have to cosign what is shown: then nothing is shown from here. */
  waits: boolean;
}

/**
 * Sees to it that all that stands in the log is under a signed checkpoint that is shown: by whoever leads it, else here.
 * Undefined when it is, else why not. Nothing is signed that the guard contradicts.
 */
export async function settle(options: SettleOptions): Promise<string | undefined> {
  const { pool, databaseUrl, logId, guard, logKeys, waits } = options;
  if (await isSettled(pool, logId)) return undefined;
  const over = new AbortController();
  const late = AbortSignal.any([over.signal, AbortSignal.timeout(OTHERS_MS)]);
  const bySomebody = untilSettled(pool, logId, late).then(() => over.abort());
  try {
    if (waits) await bySomebody;
    // Nobody leads: it is signed here. Somebody does: he signs it, or the time is over.
    await using leadership = await leadLog(databaseUrl, logId, late);
    over.abort();
    await bySomebody;
    if (await isSettled(pool, logId)) return undefined;
    if (leadership === undefined)
      return waits ? 'its witnesses have not cosigned them' : 'a relay leads the log and does not sign them';
    const loaded = await loadLog(pool, logId, guard);
    const signers = checkpointSigners(loaded.keys, loaded.frontier.size, await logKeys());
    await publishHead(pool, logId, loaded, signers, { guard });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    over.abort();
    await bySomebody.catch(() => undefined);
  }
}

async function untilSettled(pool: Pool, logId: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && !(await isSettled(pool, logId))) await pause(LOOK_EVERY_MS, signal);
}

async function isSettled(pool: Pool, logId: string): Promise<boolean> {
  const head = await findLogById(pool, logId);
  return head !== undefined && head.published === head.size;
}
