import type { Queryable } from './pool.ts';

/** W3C trace contexts of the requests that submitted these jobs, by job; jobs that were not traced are left out. */
export async function readTraceparents(
  db: Queryable,
  jobIds: readonly string[],
): Promise<Map<string, string>> {
  const { rows } = await db.query<{ id: string; traceparent: string }>(
    'select id, traceparent from jobs where id = any($1) and traceparent is not null',
    [jobIds],
  );
  return new Map(rows.map(({ id, traceparent }) => [id, traceparent]));
}
