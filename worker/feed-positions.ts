import { pause } from '../domain/pause.ts';
import type { Log } from '../observability/log.ts';
import { givePositions, POSITIONS_PER_BATCH } from '../store/feed.ts';
import type { Notifier, Wakeups } from '../store/notify.ts';
import type { Pool } from '../store/pool.ts';
import { runLoop, type Loop } from './loop.ts';

/** The net below lost notifications (spec: core §7). */
const POLL_MS = 250;
/** So many events in one pass mean that others follow: a short rest lets them share the next one. */
const BUSY_EVENTS = 8;
const BUSY_REST_MS = 20;

export interface FeedPositionsOptions {
  pool: Pool;
  notifier: Notifier;
  wakeups: Wakeups;
  log: Log;
}

/**
 * Gives events their place in the global feed, after their commit and in batches; a job's first has it from intake. Every
 * relay runs one; the head's row lock in the database lets one of them work at a time. Disposing waits for the batch under
 * way.
 */
export function startFeedPositions({ pool, notifier, wakeups, log }: FeedPositionsOptions): Loop {
  let given = 0;
  return runLoop({
    name: 'feed positions',
    async wait(signal) {
      if (given >= BUSY_EVENTS) await pause(BUSY_REST_MS, signal);
      await wakeups.next('events', POLL_MS, signal);
    },
    step: async () => {
      given = await givePositions(pool);
      if (given > 0) notifier.notify('feed');
      return given >= POSITIONS_PER_BATCH;
    },
    failed: (error) => log.warn({ err: error }, 'feed positions could not be given'),
  });
}
