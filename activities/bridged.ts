import { setTimeout as delay } from 'node:timers/promises';

/** Work that is done must not be lost to a database that restarts: how long and how often a write is tried. */
const BRIDGE_MS = 120_000;
const AGAIN_MS = 1_000;

/** Repeats `write` while it fails, for at most two minutes; the caller's heartbeats go on by themselves. */
export async function bridged<T>(write: () => Promise<T>): Promise<T> {
  const until = performance.now() + BRIDGE_MS;
  for (;;) {
    try {
      return await write();
    } catch (error) {
      if (performance.now() > until) throw error;
      await delay(AGAIN_MS);
    }
  }
}
