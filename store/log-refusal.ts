/** SQLSTATEs of what the database raises itself (0001_core.sql). */
const REFUSALS: ReadonlySet<unknown> = new Set(['BK001', 'BK002']);

/** Whether the database refused a pending entry because its key has ended, or its log was closed. */
export function isLogRefusal(error: unknown): boolean {
  return error instanceof Error && 'code' in error && REFUSALS.has(error.code);
}
