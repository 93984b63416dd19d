import { countBacklog } from '../../store/job-reads.ts';
import type { Queryable } from '../../store/pool.ts';

/** How old the count may be before it is asked for again; jobs accepted meanwhile can overshoot the limit. */
const COUNT_AGE_MS = 1_000;

/**
 * Tells whether more jobs wait for their start than the operator allows. Asks the database once a second at most, and
 * only who comes before the first answer, or after one that failed, waits for it.
 */
export function createBacklog(db: Queryable, limit: number, now: () => number = Date.now) {
  let askedAtMs = -Infinity;
  let known: boolean | undefined;
  let asked: Promise<boolean> = Promise.resolve(false);

  async function ask(): Promise<boolean> {
    try {
      known = (await countBacklog(db, limit)) >= limit;
      return known;
    } catch (error) {
      known = undefined;
      askedAtMs = -Infinity;
      throw error;
    }
  }

  return {
    isFull(): boolean | Promise<boolean> {
      const nowMs = now();
      if (nowMs - askedAtMs >= COUNT_AGE_MS) {
        askedAtMs = nowMs;
        asked = ask();
        asked.catch(() => undefined);
      }
      return known ?? asked;
    },
  };
}
