import { countBacklog } from '../../store/job-reads.ts';
import type { Queryable } from '../../store/pool.ts';

/** How old the count may be; jobs accepted meanwhile can overshoot the limit by that much. */
const COUNT_AGE_MS = 1_000;

/** Tells whether more jobs wait for their start than the operator allows; asks the database once a second at most. */
export function createBacklog(db: Queryable, limit: number, now: () => number = Date.now) {
  let askedAtMs = -Infinity;
  let answer: Promise<boolean> = Promise.resolve(false);
  return {
    isFull(): Promise<boolean> {
      if (now() - askedAtMs >= COUNT_AGE_MS) {
        askedAtMs = now();
        answer = countBacklog(db, limit).then((waiting) => waiting >= limit);
        answer.catch(() => (askedAtMs = -Infinity));
      }
      return answer;
    },
  };
}
