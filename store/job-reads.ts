import type { Plan } from '../domain/jobspec/plan.ts';
import { JOB_STATES, type JobState } from '../domain/states.ts';
import type { Queryable } from './pool.ts';
import { viewedLists, viewerValues, visibleTo, type Viewer } from './principals.ts';

/** A job's state without its spec. */
export interface JobRow {
  id: string;
  owner: string;
  form: string;
  name: string;
  visibility: 'public' | 'private';
  state: JobState;
  version: number;
  total: number;
  open: number;
  completed: number;
  cancel_requested_at: Date | null;
  created_at: Date;
  started_at: Date | null;
  ended_at: Date | null;
  summary_cid: string | null;
  manifest_cid: string | null;
  directory_cid: string | null;
}

const JOB_COLUMNS = `j.id, j.owner, j.form, j.name, j.visibility, j.state, j.version, j.total, j.open, j.completed,
  j.cancel_requested_at, j.created_at, j.started_at, j.ended_at, j.summary_cid, j.manifest_cid, j.directory_cid`;

/** A job that `viewer` may see, by its primary key, with the bytes that were received. */
export async function getJob(
  db: Queryable,
  id: string,
  viewer: Viewer,
): Promise<(JobRow & { raw: Buffer }) | undefined> {
  const { rows } = await db.query<JobRow & { raw: Buffer }>({
    name: 'get-job',
    text: `select ${JOB_COLUMNS}, j.raw from jobs j where j.id = $1 and ${visibleTo('j', 2)}`,
    values: [id, ...viewerValues(viewer)],
  });
  return rows[0];
}

/** The same without the bytes, where only the state or the right to see it is asked. */
export async function getJobState(db: Queryable, id: string, viewer: Viewer): Promise<JobRow | undefined> {
  const { rows } = await db.query<JobRow>({
    name: 'get-job-state',
    text: `select ${JOB_COLUMNS} from jobs j where j.id = $1 and ${visibleTo('j', 2)}`,
    values: [id, ...viewerValues(viewer)],
  });
  return rows[0];
}

/** Where a page of the list ended. `at` is PostgreSQL's own text of the time: a Date would lose its microseconds. */
export interface JobPosition {
  at: string;
  id: string;
}

export interface JobListInput {
  state?: JobState;
  after?: JobPosition;
  limit: number;
  viewer: Viewer;
}

/**
 * Newest first; a job that is accepted while somebody pages comes before his first page and moves nothing. The page is
 * merged from the first rows of each state and visibility that it shows, so what it does not show costs nothing.
 */
export async function listJobs(
  db: Queryable,
  { state, after, limit, viewer }: JobListInput,
): Promise<(JobRow & { at: string })[]> {
  const { visibilities, owner } = viewedLists(viewer);
  const { rows } = await db.query<JobRow & { at: string }>({
    name: after === undefined ? 'list-jobs' : 'list-jobs-after',
    text: after === undefined ? LIST_JOBS : LIST_JOBS_AFTER,
    values: [
      state === undefined ? JOB_STATES : [state],
      visibilities,
      owner,
      limit,
      ...(after === undefined ? [] : [after.at, after.id]),
    ],
  });
  return rows;
}

const listJobsText = (before: string): string => {
  const newest = `${before} order by created_at desc, id desc limit $4`;
  return `select ${JOB_COLUMNS}, to_char(j.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at
     from (
       select p.* from unnest($1::text[]) as s (state), unnest($2::text[]) as v (visibility), lateral (
         select created_at, id from jobs where state = s.state and visibility = v.visibility ${newest}) p
       union all
       select p.* from unnest($1::text[]) as s (state), lateral (
         select created_at, id from jobs
         where visibility = 'private' and owner = $3::text and state = s.state ${newest}) p
       order by created_at desc, id desc limit $4
     ) page join jobs j on j.id = page.id
     order by page.created_at desc, page.id desc`;
};
const LIST_JOBS = listJobsText('');
const LIST_JOBS_AFTER = listJobsText('and (created_at, id) < ($5::timestamptz, $6::text collate "C")');

/** What a job froze at submit; the caller asked before whether the job may be seen. */
export async function getPlan(db: Queryable, jobId: string): Promise<Plan | undefined> {
  const { rows } = await db.query<{ plan: Plan }>('select plan from jobs where id = $1', [jobId]);
  return rows[0]?.plan;
}

export interface EventRow {
  seq: number;
  type: string;
  payload: object;
  execution_id: string | null;
  recorded_at: Date;
}

/** The events of a job's own stream, in order; the caller asked before whether the job may be seen. */
export async function listJobEvents(
  db: Queryable,
  jobId: string,
  afterSeq: number,
  limit: number,
): Promise<EventRow[]> {
  const { rows } = await db.query<EventRow>(
    `select seq, type, payload, execution_id, recorded_at from events
     where stream = 'job:' || $1 and seq > $2 order by seq limit $3`,
    [jobId, afterSeq, limit],
  );
  return rows;
}

/** Jobs that wait for their start, counted up to `atMost`. */
export async function countBacklog(db: Queryable, atMost: number): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    `select count(*) as n from (select from outbox where kind = 'start' limit $1) waiting`,
    [atMost],
  );
  return rows[0]?.n ?? 0;
}
