import type { Queryable } from './pool.ts';

/** Resolves when PostgreSQL answers a query. */
export async function askDatabase(db: Queryable): Promise<void> {
  await db.query('select 1');
}
