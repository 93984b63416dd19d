import type { Log } from '../observability/log.ts';
import { givePositions, POSITIONS_PER_BATCH } from '../store/feed.ts';
import type { Notifier, Wakeups } from '../store/notify.ts';
import type { Pool } from '../store/pool.ts';
import { runLoop, type Loop } from './loop.ts';

/** The net below lost notifications (spec: core §7). */
const POLL_MS = 250;

export interface FeedPositionsOptions {
  pool: Pool;
  notifier: Notifier;
  wakeups: Wakeups;
  log: Log;
}

/**
 * Gives events their place in the global feed, after their commit and in batches. Every relay runs one; the head's row
 * lock in the database lets one of them work at a time. Disposing waits for the batch under way.
 */
export function startFeedPositions({ pool, notifier, wakeups, log }: FeedPositionsOptions): Loop {
  return runLoop({
    name: 'feed positions',
    wait: (signal) => wakeups.next('events', POLL_MS, signal),
    step: async () => {
      const given = await givePositions(pool);
      if (given > 0) notifier.notify('feed');
      return given >= POSITIONS_PER_BATCH;
    },
    failed: (error) => log.warn({ err: error }, 'feed positions could not be given'),
  });
}
