import { appendToRunningJob } from './job-head.ts';
import { withTransaction, type Pool, type Queryable } from './pool.ts';
import { withdrawAgain } from './withdrawals.ts';

/** Bounds one look at the feed. */
const EVENTS_PER_LOOK = 5_000;

export interface TargetRow {
  position: number;
  failures: number;
  /** Milliseconds until the place may be tried again; 0: now. */
  waitMs: number;
}

/** Says that a place is configured; what it is known by from then on. */
export async function seeTarget(db: Queryable, target: string, kind: string): Promise<TargetRow> {
  const { rows } = await db.query<TargetRow>(
    `insert into publish_targets as t (target, kind) values ($1, $2)
     on conflict (target) do update set seen_at = now(), kind = excluded.kind
     returning position, failures,
               greatest(0, ceil(extract(epoch from t.not_before - now()) * 1000))::float8 as "waitMs"`,
    [target, kind],
  );
  return rows[0]!;
}

/**
 * Goes on through the feed and notes the public jobs that ended. Positions are given in the order of commits, so none is
 * passed by. True: there is more to look at.
 */
export async function notePublishable(pool: Pool, target: string): Promise<boolean> {
  return withTransaction(pool, async (tx) => {
    const { rows: from } = await tx.query<{ position: number }>(
      'select position from publish_targets where target = $1 for update',
      [target],
    );
    const { rows } = await tx.query<{ last: number | null; looked: number }>(
      `with seen as materialized (
         select position, type, job_id, visibility from events
         where position > $2 order by position limit ${EVENTS_PER_LOOK}
       ), noted as (
         insert into publications (target, job_id)
         select $1, job_id from seen
         where visibility = 'public' and type in ('job.completed', 'job.failed', 'job.cancelled', 'job.expired')
         on conflict do nothing
       )
       select max(position) as last, count(*) as looked from seen`,
      [target, from[0]?.position ?? 0],
    );
    const { last, looked } = rows[0]!;
    if (last !== null)
      await tx.query('update publish_targets set position = $2 where target = $1', [target, last]);
    return looked === EVENTS_PER_LOOK;
  });
}

export interface Publication {
  jobId: string;
  cid: string | null;
  stored: boolean;
  pinned: boolean;
  announced: boolean;
  requestId: string | null;
  failures: number;
  /** It is to be kept there no longer. */
  withdrawn: boolean;
  /** As the database says it. */
  dueAt: string;
}

/** What is to be done at a place now, the longest due first. */
export async function listDue(db: Queryable, target: string, limit: number): Promise<Publication[]> {
  const { rows } = await db.query<Publication>(
    `select job_id as "jobId", cid, stored_at is not null as stored, pinned_at is not null as pinned,
            announced_at is not null as announced, request_id as "requestId", failures,
            withdrawn_at is not null as withdrawn, next_at::text as "dueAt"
     from publications where target = $1 and next_at <= now() order by next_at limit $2`,
    [target, limit],
  );
  return rows;
}

export interface PublicationUpdate {
  cid: string;
  stored: boolean;
  pinned: boolean;
  announced: boolean;
  requestId: string | null;
  note: string | null;
  failures: number;
  spare: boolean;
  /** Null: done. */
  againMs: number | null;
}

/** Keeps what is known of a tree at a place now, and tells the feed what became true. Facts stay true. */
export async function keepPublication(
  pool: Pool,
  target: string,
  before: Publication,
  now: PublicationUpdate,
): Promise<void> {
  await withTransaction(pool, async (tx) => {
    const { rowCount } = await tx.query(
      `update publications set cid = $3,
         stored_at = coalesce(stored_at, case when $4 then now() end),
         pinned_at = coalesce(pinned_at, case when $5 then now() end),
         announced_at = coalesce(announced_at, case when $6 then now() end),
         request_id = $7, note = $8, failures = $9, spare = $10, next_at = now() + $11 * interval '1 millisecond'
       where target = $1 and job_id = $2 and (stored_at is not null) = $12 and (pinned_at is not null) = $13
         and (announced_at is not null) = $14 and withdrawn_at is null`,
      [
        target,
        before.jobId,
        now.cid,
        now.stored,
        now.pinned,
        now.announced,
        now.requestId,
        now.note,
        now.failures,
        now.spare,
        now.againMs,
        before.stored,
        before.pinned,
        before.announced,
      ],
    );
    // Somebody else was quicker and has told it, or it was erased meanwhile.
    if (rowCount !== 1) return withdrawAgain(tx, target, before.jobId);
    const facts = (['stored', 'pinned', 'announced'] as const).filter((fact) => now[fact] && !before[fact]);
    if (facts.length === 0) return;
    await appendToRunningJob(
      tx,
      before.jobId,
      facts.map((fact) => ({
        type: `ipfs.${fact}`,
        payload: { job_id: before.jobId, directory_cid: now.cid, target },
      })),
    );
  });
}

/** The place answers, or does not: then it is left alone for a while. */
export async function keepTargetHealth(
  db: Queryable,
  target: string,
  health: { failures: number; waitMs: number; error: string | null },
): Promise<void> {
  await db.query(
    `update publish_targets set failures = $2, not_before = now() + $3 * interval '1 millisecond', last_error = $4
     where target = $1`,
    [target, health.failures, health.waitMs, health.error],
  );
}

/** Those of `targets` at which this job's tree could not be pinned, `times` or more often. */
export async function listFailed(
  db: Queryable,
  jobId: string,
  targets: readonly string[],
  times: number,
): Promise<string[]> {
  const { rows } = await db.query<{ target: string }>(
    `select target from publications
     where job_id = $1 and target = any($2) and failures >= $3 and pinned_at is null`,
    [jobId, targets, times],
  );
  return rows.map((row) => row.target);
}

export interface PublicationFacts {
  target: string;
  kind: string;
  stored_at: Date | null;
  pinned_at: Date | null;
  announced_at: Date | null;
  removed_at: Date | null;
  spare: boolean;
  note: string | null;
}

/** Where a job's directory is, as far as places were asked to hold it. */
export async function listPublications(db: Queryable, jobId: string): Promise<PublicationFacts[]> {
  const { rows } = await db.query<PublicationFacts>(
    `select p.target, t.kind, p.stored_at, p.pinned_at, p.announced_at, p.removed_at, p.spare, p.note
     from publications p join publish_targets t on t.target = p.target where p.job_id = $1 order by p.target`,
    [jobId],
  );
  return rows;
}

export interface PublishBacklog {
  target: string;
  /** Trees that are not pinned there. */
  unpublished: number;
  oldestAgeSeconds: number;
}

/** Of the places that some process still knows. */
export async function readPublishBacklog(db: Queryable): Promise<PublishBacklog[]> {
  const { rows } = await db.query<PublishBacklog>(
    `select t.target, count(p.job_id) as unpublished,
            coalesce(extract(epoch from now() - min(p.created_at)), 0)::float8 as "oldestAgeSeconds"
     from publish_targets t
     left join publications p on p.target = t.target and p.pinned_at is null and not p.spare
       and p.withdrawn_at is null
     where t.seen_at > now() - interval '1 hour' group by t.target`,
  );
  return rows;
}
