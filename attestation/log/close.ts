import { toHex } from '../../domain/encoding.ts';
import type { ContinuedLog } from '../../domain/receipt/key-statement.ts';
import { closeLog, type Closed } from '../../store/log-close.ts';
import { readNewestCheckpoint } from '../../store/log-tiles.ts';
import type { LogHead } from '../../store/log-state.ts';
import type { Pool } from '../../store/pool.ts';
import type { ReceiptKey } from '../keys/receipt-key.ts';
import { buildFirstKeyStart } from '../receipt/build.ts';
import type { Guard } from './guard.ts';
import { defaultOrigin, newLog } from './open.ts';
import { receiptKeyStart } from './receipt-keys.ts';

export interface ClosedAndFollowed extends Closed {
  next: { logId: string; origin: string };
  continues: ContinuedLog;
}

/**
 * Closes the log that grows, for ever, and makes the one after it: another origin, so another id and another key of its
 * checkpoints. Its entry 0 names the last checkpoint of the closed log that is known, signed by `key`, the first receipt key
 * of the new one.
 */
export async function closeAndFollow(
  pool: Pool,
  log: LogHead,
  key: ReceiptKey,
  { guard, origin = defaultOrigin() }: { guard: Guard; origin?: string | undefined },
): Promise<ClosedAndFollowed> {
  const continues = await lastKnown(pool, log, guard);
  const next = newLog(origin);
  const start = receiptKeyStart(key, await buildFirstKeyStart(key, continues));
  const closed = await closeLog(pool, { logId: log.logId, next, start });
  return { ...closed, next: { logId: next.logId, origin }, continues };
}

/** A guard that is ahead of the database knows what somebody may hold; the database's own word is only the next best. */
async function lastKnown(pool: Pool, { logId, origin, root }: LogHead, guard: Guard): Promise<ContinuedLog> {
  const guarded = await guard.read();
  const newest = await readNewestCheckpoint(pool, logId);
  if (guarded?.origin === origin && guarded.size >= (newest?.size ?? 0)) {
    const { size, root: signed, note } = guarded;
    return { origin, size, root: toHex(signed), ...(note === undefined ? {} : { checkpoint: note }) };
  }
  if (newest === undefined) return { origin, size: 0, root: toHex(root) };
  return { origin, size: newest.size, root: toHex(newest.root), checkpoint: newest.note };
}
