/** Random numbers that a seed repeats (mulberry32). */
export function seededRandom(/** @type {number} */ seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
  /** A whole number from 0 below `end`. */
  const below = (/** @type {number} */ end) => Math.floor(next() * end);
  return {
    next,
    below,
    /** @type {<T>(items: readonly T[]) => T} */
    pick: (items) => items[below(items.length)],
    bytes: (/** @type {number} */ size) => Buffer.from(Array.from({ length: size }, () => below(256))),
  };
}
