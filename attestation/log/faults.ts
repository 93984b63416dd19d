/**
 * The moments between which a sequencer may die. Tests hand in a function that kills the process at one of them; nothing
 * else does, so there is no switch for it in the product.
 */
export const FAULT_POINTS = [
  /** The batch is read and hashed; nothing is written. */
  'before_append',
  /** Entries, tiles, head and events are sent; nothing is committed. */
  'before_commit',
  'after_commit',
  'before_sign',
  'after_sign',
  /** The guard's new file lies beside the old one. */
  'in_guard',
  'after_guard',
  /** The checkpoint is shown; nobody was told. */
  'after_publish',
] as const;
export type FaultPoint = (typeof FAULT_POINTS)[number];

export type Faults = (point: FaultPoint) => void | Promise<void>;

export const noFaults: Faults = () => undefined;
