import type { Queryable } from './pool.ts';

/**
 * Jobs that have not ended, in order of id, those after `after`, that no row of the outbox speaks for. All of them are
 * found first: asked for the first few in order, PostgreSQL would look through all jobs that ever were. Two lists are
 * compared, because it would look each job of a long backlog up in the outbox where it thinks that there are few.
 */
export async function unspokenJobs(db: Queryable, after: string, limit: number): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `with unspoken as materialized (
       select id from jobs where state in ('accepted', 'running')
       except select job_id from outbox where kind in ('start', 'repair')
     )
     select id from unspoken where id > $1 order by id limit $2`,
    [after, limit],
  );
  return rows.map((row) => row.id);
}

/** The job's workflow is known to Temporal (again). */
export async function forgetAbsence(db: Queryable, jobId: string): Promise<void> {
  await db.query('delete from workflow_absences where job_id = $1', [jobId]);
}

/**
 * Temporal does not know the workflow of a running job. On the second such look, at least `apartMs` after the first,
 * the start row is put back; true when that happened.
 */
export async function noteAbsence(db: Queryable, jobId: string, apartMs: number): Promise<boolean> {
  const { rows } = await db.query<{ again: boolean }>(
    `insert into workflow_absences (job_id) values ($1)
     on conflict (job_id) do update set times = workflow_absences.times + 1
     returning times > 1 and first_seen_at <= now() - $2 * interval '1 millisecond' as again`,
    [jobId, apartMs],
  );
  if (rows[0]?.again !== true) return false;
  await db.query(
    `with gone as (delete from workflow_absences where job_id = $1)
     insert into outbox (kind, job_id, owner)
     select 'start', id, owner from jobs where id = $1 and state in ('accepted', 'running')
     on conflict (job_id, kind) do nothing`,
    [jobId],
  );
  return true;
}
