import { setTimeout as pause } from 'node:timers/promises';

/** Asks `look` until it answers something, at most `withinMs`; what it threw last is the cause of the error. */
export async function eventually<T>(
  look: () => Promise<T | undefined> | T | undefined,
  withinMs = 25_000,
): Promise<T> {
  const until = performance.now() + withinMs;
  let cause: unknown;
  for (;;) {
    try {
      const answer = await look();
      if (answer !== undefined) return answer;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > until) throw new Error(`nothing within ${withinMs} ms`, { cause });
    await pause(25);
  }
}
