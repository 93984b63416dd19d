import { countBacklog } from '../../store/job-reads.ts';
import type { Queryable } from '../../store/pool.ts';

/** How old a count may be at least before it is made anew; jobs accepted meanwhile can overshoot the limit. */
const COUNT_AGE_MS = 1_000;
/** Counting reads every row that waits, so a count far below the limit may be older: more than this nobody takes in. */
const JOBS_PER_MS = 10;
const LONGEST_COUNT_AGE_MS = 30_000;

/**
 * Tells whether more jobs wait for their start than the operator allows. Asks the database once a second at most, less
 * often while there is much room; only who comes before the first answer, or after one that failed, waits for it.
 */
export function createBacklog(db: Queryable, limit: number, now: () => number = Date.now) {
  let askAgainAtMs = -Infinity;
  let known: boolean | undefined;
  let asked: Promise<boolean> = Promise.resolve(false);

  async function ask(askedAtMs: number): Promise<boolean> {
    try {
      const room = limit - (await countBacklog(db, limit));
      const ageMs = Math.min(Math.max(room / JOBS_PER_MS, COUNT_AGE_MS), LONGEST_COUNT_AGE_MS);
      askAgainAtMs = askedAtMs + ageMs;
      known = room <= 0;
      return known;
    } catch (error) {
      known = undefined;
      askAgainAtMs = -Infinity;
      throw error;
    }
  }

  return {
    isFull(): boolean | Promise<boolean> {
      const nowMs = now();
      if (nowMs >= askAgainAtMs) {
        askAgainAtMs = nowMs + COUNT_AGE_MS;
        asked = ask(nowMs);
        asked.catch(() => undefined);
      }
      return known ?? asked;
    },
  };
}
