import pLimit, { type LimitFunction } from 'p-limit';

/** At most `limit` pieces of work of each key at once; the others wait in order. */
export function limitByKey(limit: number): <T>(key: string, work: () => Promise<T>) => Promise<T> {
  const limits = new Map<string, LimitFunction>();
  return async (key, work) => {
    const run = limits.get(key) ?? pLimit(limit);
    limits.set(key, run);
    try {
      return await run(work);
    } finally {
      if (run.activeCount + run.pendingCount === 0) limits.delete(key);
    }
  };
}
