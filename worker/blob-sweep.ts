import { pause } from '../domain/pause.ts';
import type { Log } from '../observability/log.ts';
import { sweepBlobs } from '../store/blob-sweep.ts';
import type { Pool } from '../store/pool.ts';
import { runLoop, type Loop } from './loop.ts';

/** A relay that starts has better things to do first. */
const FIRST_AFTER_MS = 30_000;
/** Nothing is in a hurry: what is swept is a day old. */
const EVERY_MS = 600_000;
/** Between two steps while there is more to look at: at most about a thousand blobs a second. */
const BETWEEN_STEPS_MS = 200;
/** Longer than any execution may take, so that even a worker that was cut off for hours finds its bytes. */
const GRACE_MS = 24 * 3_600_000;
const LOOKS = 200;
/** At most 1.3 GB in one transaction, normally some kilobytes. */
const REMOVALS = 20;

export interface BlobSweepDeps {
  pool: Pool;
  log: Log;
  firstAfterMs?: number;
  graceMs?: number;
}

/** Removes in the background what lost attempts staged and nobody references. Any number of relays may run it. */
export function startBlobSweep({
  pool,
  log,
  firstAfterMs = FIRST_AFTER_MS,
  graceMs = GRACE_MS,
}: BlobSweepDeps): Loop {
  let waitMs = BETWEEN_STEPS_MS;
  return runLoop({
    name: 'blob sweep',
    firstAfterMs,
    wait: (signal) => pause(waitMs, signal),
    step: async () => {
      const swept = await sweepBlobs(pool, { graceMs, looks: LOOKS, removals: REMOVALS });
      if (swept !== undefined && swept.removed > 0)
        log.info({ blobs: swept.removed }, 'bytes that nobody references were removed');
      waitMs = swept?.more === true ? BETWEEN_STEPS_MS : EVERY_MS;
      return false;
    },
    failed: (error) => log.warn({ err: error }, 'unreferenced bytes could not be swept'),
  });
}
