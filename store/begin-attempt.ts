import type { Failure } from '../domain/failure.ts';
import { EXECUTION_STATES, isTerminal, type AttemptState, type ExecutionState } from '../domain/states.ts';
import { prepared, withTransaction, type Pool, type Transaction } from './pool.ts';
import { isUniqueViolation } from './unavailable.ts';
import type { WorkRow } from './work.ts';

export interface StoredAttempt {
  attempt: number;
  state: AttemptState;
  failure: Failure | null;
}

/** An attempt that must not begin (again): what there is to do instead. */
export type NotBegun =
  /** Ended, or told to end: nothing may start. */
  | { kind: 'stopped'; reason: 'terminal' | 'cancelled' }
  /** This attempt already has its outcome. */
  | { kind: 'staged'; attempt: StoredAttempt }
  /**
   * This attempt was under way when its worker went away; it is fenced off now. `name` may have left something behind.
   * `known`: it was lost before already, so nothing new went wrong.
   */
  | { kind: 'lost'; next: number; name: string; known: boolean };

export type Begun =
  { kind: 'begun'; work: WorkRow; job: { startedNow: boolean; waitedMs: number } } | NotBegun;

export interface BeginInput {
  jobId: string;
  index: number;
  attempt: number;
  backend: string;
  /** Where this attempt is to run: the execution's own region or a fallback. */
  region: string | null;
  /** Bound of the summed running time of all attempts. */
  timeoutMs: number;
  /** Bound of one attempt. */
  providerTimeoutMs: number;
}

/**
 * Begins attempt `attempt` of an execution, before its first outside effect: the attempt row, the execution's new fence
 * and the events are one transaction, which is also a step of the job (the start row of the outbox goes with it).
 * Called again for the same attempt it never begins twice (docs/architecture.md, attempts).
 */
export async function beginAttempt(pool: Pool, input: BeginInput): Promise<Begun> {
  for (;;) {
    const begun = await beginFresh(pool, input);
    if (begun !== undefined) return begun;
    const known = await withTransaction(pool, (tx) => answerKnown(tx, input));
    if (known !== undefined) return known;
  }
}

const OPEN = EXECUTION_STATES.filter((state) => !isTerminal(state)).map((state) => `'${state}'`);

/**
 * One round trip for the usual case. Locks are taken in their order, execution, attempt, job, because each part reads
 * from the one before it; the outbox comes after the job's lock, as a cancel takes them too.
 */
const BEGIN = prepared(
  'begin-attempt',
  `with execution as (
     select id, fence, region, model, question_text, state from executions
     where job_id = $1 and idx = $2 and follows is null for update
   ), fresh as (
     select e.id, e.fence + 1 as fence, e.region, e.model, e.question_text, j.raw,
            (select coalesce(json_object_agg(i.image, i.digest), '{}') from job_images i where i.job_id = j.id) as images,
            greatest(0, least($7::bigint, $6::bigint - (
              select coalesce(sum(a.duration_ms), 0) from attempts a where a.execution_id = e.id
            )))::bigint as budget_ms
     from execution e join jobs j on j.id = $1
     where e.state in (${OPEN.join(', ')}) and j.cancel_requested_at is null
       and not exists (select from attempts a where a.execution_id = e.id and a.attempt = $3)
   ), begun as (
     insert into attempts (execution_id, attempt, backend, region, fence, budget_ms)
     select id, $3::int, $4::text, $5::text, fence, budget_ms from fresh returning execution_id
   ), moved as (
     update executions x
     set state = 'running', fence = f.fence, attempt = $3, backend = $4, region_ran = $5, phase = 'starting',
         started_at = coalesce(x.started_at, now())
     from fresh f where x.id = f.id
   ), head as (
     select j.id, j.state, j.seq, j.owner, j.visibility, j.created_at
     from begun b join jobs j on j.id = $1 for no key update of j
   ), told as (
     select row_number() over (order by e.ord) as n, e.type, e.execution_id, e.payload
     from fresh f, head, lateral (
       select 1, 'job.started', null::uuid,
              (select row_to_json(p) from (select $1::text as job_id, $8::text as timestamp) p)
       where head.state = 'accepted'
       union all
       select 2, 'execution.fallback', f.id,
              (select row_to_json(p) from (select $1::text as job_id, f.id as execution_id, $2::int as index,
                 f.region as from_region, $5::text as to_region, $8::text as timestamp) p)
       where f.region is distinct from $5 and f.region is not null
       union all
       select 3, 'execution.placed', f.id,
              (select row_to_json(p) from (select $1::text as job_id, f.id as execution_id, $2::int as index,
                 $5::text as region, $4::text as backend, $3::int as attempt, $8::text as timestamp) p)
       union all
       select 4, 'execution.started', f.id,
              (select row_to_json(p) from (select $1::text as job_id, f.id as execution_id, $2::int as index,
                 $5::text as region, f.model, $3::int as attempt, $8::text as timestamp) p)
     ) e (ord, type, execution_id, payload)
   ), events_of_it as (
     insert into events (stream, seq, type, payload, job_id, execution_id, owner, visibility)
     select 'job:' || head.id, head.seq + told.n, told.type, told.payload, head.id, told.execution_id, head.owner,
            head.visibility
     from told, head
   ), step as (
     update jobs j
     set seq = j.seq + (select count(*) from told), state = 'running', started_at = coalesce(j.started_at, now())
     from head where j.id = head.id
   ), gone as (
     delete from outbox where job_id = $1 and kind = 'start' and exists (select from head)
   )
   select f.id as "executionId", f.fence, f.raw, f.images, f.model, f.question_text as question, f.budget_ms as "budgetMs",
          head.state = 'accepted' as "startedNow",
          (extract(epoch from now() - head.created_at) * 1000)::float8 as "waitedMs"
   from fresh f, head`,
);

type Fresh = Pick<WorkRow, 'executionId' | 'fence' | 'raw' | 'images' | 'model' | 'question' | 'budgetMs'> & {
  startedNow: boolean;
  waitedMs: number;
};

/** Undefined when it must not begin, or somebody else began it at this moment. */
async function beginFresh(pool: Pool, input: BeginInput): Promise<Begun | undefined> {
  const { jobId, index, attempt, backend, region, timeoutMs, providerTimeoutMs } = input;
  const now = new Date().toISOString();
  const { rows } = await pool
    .query<Fresh>(BEGIN([jobId, index, attempt, backend, region, timeoutMs, providerTimeoutMs, now]))
    .catch((error: unknown) => {
      if (isUniqueViolation(error)) return { rows: [] };
      throw error;
    });
  const row = rows[0];
  if (row === undefined) return undefined;
  const { startedNow, waitedMs, ...work } = row;
  return { kind: 'begun', work: { ...work, index, attempt, region }, job: { startedNow, waitedMs } };
}

interface KnownRow {
  id: string;
  state: ExecutionState;
  cancel_requested: boolean;
  known_state: AttemptState | null;
  known_failure: Failure | null;
}

/** What became of an attempt that is not to begin; undefined when nothing keeps it from beginning after all. */
async function answerKnown(
  tx: Transaction,
  { jobId, index, attempt }: BeginInput,
): Promise<NotBegun | undefined> {
  const locked = await tx.query<{ id: string }>(
    'select id from executions where job_id = $1 and idx = $2 and follows is null for update',
    [jobId, index],
  );
  if (locked.rows[0] === undefined) throw new Error(`job ${jobId} has no execution ${index}`);
  // A statement of its own: only one that begins after the lock was had sees what was committed before it.
  const { rows } = await tx.query<KnownRow>(
    `select e.id, e.state, j.cancel_requested_at is not null as cancel_requested,
            known.state as known_state, known.failure as known_failure
     from executions e
     join jobs j on j.id = e.job_id
     left join attempts known on known.execution_id = e.id and known.attempt = $2
     where e.id = $1`,
    [locked.rows[0].id, attempt],
  );
  const row = rows[0]!;
  if (isTerminal(row.state)) return { kind: 'stopped', reason: 'terminal' };
  const lost = { kind: 'lost', next: attempt + 1, name: `${row.id}-${attempt}` } as const;
  switch (row.known_state) {
    case 'succeeded':
    case 'failed':
      return { kind: 'staged', attempt: { attempt, state: row.known_state, failure: row.known_failure } };
    case 'intended':
    case 'active':
    case 'uncertain':
      await loseAttempt(tx, row.id, attempt);
      return { ...lost, known: false };
    case 'cancelled':
      // By a workflow that Temporal has forgotten, when the job itself was never cancelled: go on.
      return row.cancel_requested ? { kind: 'stopped', reason: 'cancelled' } : { ...lost, known: true };
    case 'lost':
      return { ...lost, known: true };
    case null:
      return row.cancel_requested ? { kind: 'stopped', reason: 'cancelled' } : undefined;
  }
}

/** Fences an attempt off: whatever still runs under its name can write nothing any more. */
async function loseAttempt(tx: Transaction, executionId: string, attempt: number): Promise<void> {
  await tx.query(
    `with lost as (
       update attempts set state = 'lost', ended_at = now() where execution_id = $1 and attempt = $2
     )
     update executions set fence = fence + 1 where id = $1`,
    [executionId, attempt],
  );
}
