import { setTimeout as delay } from 'node:timers/promises';

/** How often the log is looked at while somebody waits: entries come within a few milliseconds. */
const POLL_MS = 50;
/** Requests that wait at a time; each that comes on top is answered at once. */
const MAX_WAITING = 200;

interface Waiting {
  beyond: number;
  wake(): void;
}

export interface LogGrowth {
  /** Waits until more than `beyond` entries are shown; false when that took too long, or too many wait already. */
  wait(beyond: number, signal: AbortSignal): Promise<boolean>;
}

/** One look at the log for all who wait for an entry, and none while nobody does. */
export function createLogGrowth(readSize: () => Promise<number>): LogGrowth {
  const waiting = new Set<Waiting>();
  let polling = false;

  async function poll(): Promise<void> {
    polling = true;
    while (waiting.size > 0) {
      await delay(POLL_MS);
      // Whoever wakes asks the database again and tells what is wrong with it.
      const size = await readSize().catch(() => Infinity);
      for (const one of waiting) if (size > one.beyond) one.wake();
    }
    polling = false;
  }

  return {
    wait(beyond, signal) {
      if (signal.aborted || waiting.size >= MAX_WAITING) return Promise.resolve(false);
      return new Promise((resolve) => {
        const end = (grown: boolean) => {
          waiting.delete(one);
          signal.removeEventListener('abort', late);
          resolve(grown);
        };
        const late = () => end(false);
        const one: Waiting = { beyond, wake: () => end(true) };
        signal.addEventListener('abort', late, { once: true });
        waiting.add(one);
        if (!polling) void poll();
      });
    },
  };
}
