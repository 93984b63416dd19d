import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../observability/log.ts';
import { givePositions, POSITIONS_PER_BATCH } from '../store/feed.ts';
import type { Notifier, Wakeups } from '../store/notify.ts';
import type { Pool } from '../store/pool.ts';

/** The net below lost notifications (spec: core §7). */
const POLL_MS = 250;
const RETRY_MIN_MS = 250;
const RETRY_MAX_MS = 5_000;

export interface FeedPositionsOptions {
  pool: Pool;
  notifier: Notifier;
  wakeups: Wakeups;
  log: Log;
  signal: AbortSignal;
}

/**
 * Gives events their place in the global feed, after their commit and in batches. Every relay runs one; the head's row
 * lock in the database lets one of them work at a time. Disposing waits for the batch under way.
 */
export function startFeedPositions({
  pool,
  notifier,
  wakeups,
  log,
  signal,
}: FeedPositionsOptions): AsyncDisposable {
  const stop = new AbortController();
  const stopped = AbortSignal.any([signal, stop.signal]);

  async function run(): Promise<void> {
    let retryMs = RETRY_MIN_MS;
    while (!stopped.aborted) {
      try {
        const given = await givePositions(pool);
        retryMs = RETRY_MIN_MS;
        if (given > 0) notifier.notify('feed');
        if (given < POSITIONS_PER_BATCH) await wakeups.next('events', POLL_MS, stopped);
      } catch (error) {
        log.warn({ err: error }, 'feed positions could not be given');
        await pause(retryMs, stopped);
        retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
      }
    }
  }

  const running = run();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}
