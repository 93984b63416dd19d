import type { Queryable } from './pool.ts';

/** A process publishes its figures every 5 s; one that was silent for longer than this is taken as gone. */
const SILENT_AFTER_S = 15;

/** How many processes of a role are alive now. */
export async function countLiveProcesses(db: Queryable, role: string): Promise<number> {
  const { rows } = await db.query<{ alive: number }>(
    `select count(*)::int as alive from metric_snapshots
     where role = $1 and updated_at > now() - $2 * interval '1 second'`,
    [role, SILENT_AFTER_S],
  );
  return rows[0]?.alive ?? 0;
}
