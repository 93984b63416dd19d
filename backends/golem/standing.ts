/** What this worker remembers of providers: how its attempts there went, and who failed a moment ago. */
import type { Standing } from './rank.ts';

interface Memory {
  good: number;
  bad: number;
  running: number;
  coolUntil: number;
}

/** Providers remembered; the longest unseen goes first. */
const KEPT = 5_000;
const REFUSED_MS = 3_000;
/** What happened long ago counts half with each new attempt beyond this many. */
const WINDOW = 20;

export interface Standings {
  of(provider: string): Standing;
  begun(provider: string): void;
  /** `good`: null when it says nothing of the provider. */
  ended(provider: string, good: boolean | null): void;
  refused(provider: string): void;
}

export function createStandings(coolDownMs: number): Standings {
  const known = new Map<string, Memory>();
  const at = (provider: string): Memory => {
    const memory = known.get(provider) ?? { good: 0, bad: 0, running: 0, coolUntil: 0 };
    known.delete(provider);
    known.set(provider, memory);
    if (known.size > KEPT) {
      const oldest = [...known].find(([, { running }]) => running === 0)?.[0];
      if (oldest !== undefined) known.delete(oldest);
    }
    return memory;
  };
  const count = (memory: Memory, good: boolean): void => {
    if (memory.good + memory.bad >= WINDOW) {
      memory.good /= 2;
      memory.bad /= 2;
    }
    if (good) memory.good++;
    else {
      memory.bad++;
      memory.coolUntil = performance.now() + coolDownMs;
    }
  };
  return {
    of(provider) {
      const memory = known.get(provider);
      if (memory === undefined) return { success: 0.5, running: 0, cooling: false };
      const { good, bad, running, coolUntil } = memory;
      return { success: (good + 1) / (good + bad + 2), running, cooling: coolUntil > performance.now() };
    },
    begun(provider) {
      at(provider).running++;
    },
    ended(provider, good) {
      const memory = at(provider);
      memory.running = Math.max(0, memory.running - 1);
      if (good !== null) count(memory, good);
    },
    // Busy is no fault: it is only not asked at once again.
    refused(provider) {
      const memory = at(provider);
      memory.coolUntil = Math.max(memory.coolUntil, performance.now() + Math.min(coolDownMs, REFUSED_MS));
    },
  };
}
