/** Whether yagna itself is away, which says nothing of providers. */
import { BreakerRefusal, type Breaker } from './breaker.ts';
import { YagnaError, type Rest } from './rest.ts';

const LINKS = 8;

/** Yagna was not reached, as its own client, the SDK or the breaker tell it. */
export function isAway(error: unknown): boolean {
  let one: unknown = error;
  for (let link = 0; link < LINKS && typeof one === 'object' && one !== null; link++) {
    if (one instanceof BreakerRefusal) return true;
    if (one instanceof YagnaError && one.status === undefined) return true;
    // What `fetch` says of a connection that was refused, reset or lost.
    if (one instanceof TypeError && one.message === 'fetch failed') return true;
    const { previous, cause }: { previous?: unknown; cause?: unknown } = one;
    one = previous ?? cause;
  }
  return false;
}

/** The same calls, none of which is made while the breaker is open. */
export function guardedRest(rest: Rest, breaker: Pick<Breaker, 'run'>): Rest {
  const calls = Object.entries(rest as Record<string, (...asked: unknown[]) => Promise<unknown>>);
  return Object.fromEntries(
    calls.map(([name, call]) => [name, (...asked: unknown[]) => breaker.run(() => call(...asked))]),
  ) as unknown as Rest;
}

/** Asks yagna whether it is there; whoever asks meanwhile shares the answer. */
export function createAlive(rest: Pick<Rest, 'version'>): () => Promise<void> {
  let asking: Promise<void> | undefined;
  return () => {
    asking ??= rest.version().then(
      () => void (asking = undefined),
      (error: unknown) => {
        asking = undefined;
        throw error;
      },
    );
    return asking;
  };
}
