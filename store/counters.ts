import type { Queryable } from './pool.ts';

/** Writers of one counter spread over this many rows (migration 0001 makes them); readers sum. */
export const COUNTER_SHARDS = 16;

/** Counts in the transaction of what is counted, so that the figure is exact. */
export async function countUp(db: Queryable, name: string, by = 1): Promise<void> {
  await db.query('update counters set value = value + $3 where name = $1 and shard = $2', [
    name,
    Math.floor(Math.random() * COUNTER_SHARDS),
    by,
  ]);
}
