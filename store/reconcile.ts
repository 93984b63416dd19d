import type { Queryable } from './pool.ts';

/** Where a walk through the jobs has come to; the newest come first. */
interface JobPlace {
  /** `timestamptz` as PostgreSQL writes it, to the microsecond. */
  createdAt: string;
  id: string;
}

/** Not prepared: a plan for any limit would sort all of them. */
const PAGE_OF_OPEN_JOBS = `with page as materialized (
     select id, created_at from jobs
     where state = $1 and visibility = $2 and (created_at, id) < ($3::timestamptz, $4)
     order by created_at desc, id desc limit $5
   )
   -- No "not exists", for which the whole outbox could be read instead of a row for each job.
   select id, created_at::text as "createdAt", (
     select true from outbox o where o.job_id = page.id and o.kind in ('start', 'repair') limit 1
   ) is null as unspoken
   from page order by created_at desc, id desc`;

/**
 * Jobs that have not ended and that no row of the outbox speaks for, a page at a time: of a long backlog, of which it
 * speaks for all, each page is a few milliseconds of the database, where one look at all of it took seconds.
 */
export async function* unspokenJobs(db: Queryable, pageJobs: number): AsyncGenerator<string[], void> {
  for (const state of ['accepted', 'running']) {
    for (const visibility of ['public', 'private']) {
      let place: JobPlace | undefined = { createdAt: 'infinity', id: '' };
      while (place !== undefined) {
        const { rows }: { rows: (JobPlace & { unspoken: boolean })[] } = await db.query(PAGE_OF_OPEN_JOBS, [
          state,
          visibility,
          place.createdAt,
          place.id,
          pageJobs,
        ]);
        yield rows.filter(({ unspoken }) => unspoken).map(({ id }) => id);
        place = rows.length < pageJobs ? undefined : rows.at(-1);
      }
    }
  }
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
