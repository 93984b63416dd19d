import { ApiError } from '../../errors.ts';
import { createTurns } from '../../feed/turns.ts';

/** Pieces of bundles that are made at a time in this process. */
const AT_ONCE = 2;
/** Bundles that may wait for their first piece. */
const MAX_WAITING = 8;
const RETRY_AFTER_S = 2;

/**
 * Bounds what bundles of jobs cost: anybody may ask for them. A bundle that has begun goes on piece by piece, in turns
 * with the others, as fast as its client reads; a client that does not read holds one piece and no turn.
 */
export function createBundleTurns() {
  const turns = createTurns(AT_ONCE);
  let starting = 0;
  return {
    /** Starts a bundle; throws `bundles_busy` when too many want to. */
    async start<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
      if (starting >= AT_ONCE + MAX_WAITING)
        throw new ApiError('bundles_busy', { retryAfterS: RETRY_AFTER_S });
      starting++;
      try {
        return await turns.take(signal, work);
      } finally {
        starting--;
      }
    },
    /** The pieces, each made in a turn. */
    async *each<T>(signal: AbortSignal, pieces: AsyncGenerator<T, void>): AsyncGenerator<T, void> {
      for (;;) {
        const next = await turns.take(signal, () => pieces.next());
        if (next.done === true) return;
        yield next.value;
      }
    },
  };
}
