/** Writers of one counter spread over this many rows (migration 0001 makes them); readers sum. */
export const COUNTER_SHARDS = 16;

/** The row that this writer takes, in the transaction of what is counted: so the figure is exact. */
export const counterShard = (): number => Math.floor(Math.random() * COUNTER_SHARDS);
