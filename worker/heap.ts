import { setFlagsFromString } from 'node:v8';

/** The heap grows by half of what a full collection left before the next; V8's own choice is up to four times as much. */
const GROWTH_PERCENT = 50;

/**
 * A worker holds a few dozen MiB that live and makes garbage slowly, so that V8 would let two thirds of its heap be
 * garbage; old buffers among it keep the allocator's memory too (docs/performance.md, jobs). Holds for every thread of the
 * process, from the next collection on.
 */
export function keepHeapSmall(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
}
