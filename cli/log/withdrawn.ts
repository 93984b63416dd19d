import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from '../../store/pool.ts';
import { listWithdrawals, type Withdrawal } from '../../store/withdrawals.ts';
import type { Context } from '../context.ts';

/** A place is asked within `IPFS_PUBLISH_INTERVAL` (10 s), after whatever is under way there. */
const ANSWERED_MS = 30_000;
const LOOK_EVERY_MS = 100;

/** Waits a while until every place where these jobs had been published has answered; the last answers. */
export async function withdrawnAnswers(
  context: Context,
  pool: Pool,
  jobIds: readonly string[],
): Promise<Withdrawal[]> {
  const deadline = performance.now() + ANSWERED_MS;
  let told = false;
  for (;;) {
    const found = await listWithdrawals(pool, jobIds);
    const open = found.filter(({ note }) => note === null);
    if (open.length === 0 || performance.now() > deadline || context.io.signal.aborted) return found;
    if (!told) context.note(`asking ${nameAll(open)} to unpin what was published`);
    told = true;
    await delay(LOOK_EVERY_MS);
  }
}

const nameAll = (open: readonly Withdrawal[]): string =>
  [...new Set(open.map(({ target }) => target))].join(', ');
