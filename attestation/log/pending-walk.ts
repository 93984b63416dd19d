/** How often all of it is walked through. */
const WHOLE_EVERY_MS = 1_000;

/** Where the reading of pending entries begins: after this id. */
export interface PendingWalk {
  /** The highest id of a batch that was appended. */
  took(id: number): void;
  next(): number;
}

/**
 * Entries that were taken lie before those that are pending until they are vacuumed away, and passing over them costs more
 * with each batch. So most walks begin where entries were taken a second ago or longer. What becomes pending before that
 * place, in a transaction that took so long, is found by the next whole walk.
 */
export function createPendingWalk(now = () => performance.now()): PendingWalk {
  let wholeAt = -Infinity;
  let taken = 0;
  let takenThen = 0;
  let after = 0;
  return {
    took(id) {
      taken = Math.max(taken, id);
    },
    next() {
      if (now() - wholeAt < WHOLE_EVERY_MS) return after;
      wholeAt = now();
      after = takenThen;
      takenThen = taken;
      return 0;
    },
  };
}
