import type { Failure } from '../domain/failure.ts';
import { isTerminal, type AttemptState, type ExecutionState } from '../domain/states.ts';
import { appendToRunningJob } from './job-head.ts';
import { withTransaction, type Pool, type Queryable } from './pool.ts';

/** What `execute` needs to know of the job and the execution that it works on. */
export interface WorkRow {
  executionId: string;
  index: number;
  attempt: number;
  fence: number;
  raw: Buffer;
  model: string | null;
  question: string | null;
  region: string | null;
  /** What of the job's images is resolved already: image to `sha256:…`. */
  images: Record<string, string>;
  /** How long this attempt may run: the attempt's limit or what the earlier attempts left of the execution's. */
  budgetMs: number;
}

export interface StoredAttempt {
  attempt: number;
  state: AttemptState;
  failure: Failure | null;
}

export type Begun =
  | { kind: 'begun'; work: WorkRow; job: { startedNow: boolean; waitedMs: number } }
  /** Ended, or told to end: nothing may start. */
  | { kind: 'stopped'; reason: 'terminal' | 'cancelled' }
  /** This attempt already has its outcome. */
  | { kind: 'staged'; attempt: StoredAttempt }
  /**
   * This attempt was under way when its worker went away; it is fenced off now. `name` may have left something behind.
   * `known`: it was lost before already, so nothing new went wrong.
   */
  | { kind: 'lost'; next: number; name: string; known: boolean };

interface ExecutionRow {
  id: string;
  state: ExecutionState;
  fence: number;
  attempt: number;
  model: string | null;
  question_text: string | null;
  region: string | null;
  cancel_requested: boolean;
  raw: Buffer;
  images: Record<string, string>;
  spent_ms: number;
  known_state: AttemptState | null;
  known_failure: Failure | null;
}

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
  return withTransaction(pool, async (tx) => {
    const { rows } = await tx.query<ExecutionRow>(
      `select e.id, e.state, e.fence, e.attempt, e.model, e.question_text, e.region,
              j.cancel_requested_at is not null as cancel_requested, j.raw,
              (select coalesce(json_object_agg(i.image, i.digest), '{}') from job_images i where i.job_id = j.id) as images,
              (select coalesce(sum(a.duration_ms), 0)::bigint from attempts a where a.execution_id = e.id) as spent_ms,
              known.state as known_state, known.failure as known_failure
       from executions e
       join jobs j on j.id = e.job_id
       left join attempts known on known.execution_id = e.id and known.attempt = $3
       where e.job_id = $1 and e.idx = $2 and e.follows is null
       for update of e`,
      [input.jobId, input.index, input.attempt],
    );
    const row = rows[0];
    if (row === undefined) throw new Error(`job ${input.jobId} has no execution ${input.index}`);
    if (isTerminal(row.state)) return { kind: 'stopped', reason: 'terminal' };
    switch (row.known_state) {
      case 'succeeded':
      case 'failed':
        return {
          kind: 'staged',
          attempt: { attempt: input.attempt, state: row.known_state, failure: row.known_failure },
        };
      case 'intended':
      case 'active':
      case 'uncertain':
        await loseAttempt(tx, row.id, input.attempt);
        return { kind: 'lost', next: input.attempt + 1, name: `${row.id}-${input.attempt}`, known: false };
      case 'cancelled':
        // By a workflow that Temporal has forgotten, when the job itself was never cancelled: go on.
        if (row.cancel_requested) return { kind: 'stopped', reason: 'cancelled' };
        return { kind: 'lost', next: input.attempt + 1, name: `${row.id}-${input.attempt}`, known: true };
      case 'lost':
        return { kind: 'lost', next: input.attempt + 1, name: `${row.id}-${input.attempt}`, known: true };
      case null:
        break;
    }
    if (row.cancel_requested) return { kind: 'stopped', reason: 'cancelled' };

    const fence = row.fence + 1;
    const budgetMs = Math.max(0, Math.min(input.providerTimeoutMs, input.timeoutMs - row.spent_ms));
    await tx.query(
      `with begun as (
         insert into attempts (execution_id, attempt, backend, region, fence, budget_ms) values ($1, $2, $3, $4, $5, $6)
       )
       update executions set state = 'running', fence = $5, attempt = $2, backend = $3, region_ran = $4,
              started_at = coalesce(started_at, now()), phase = 'starting'
       where id = $1`,
      [row.id, input.attempt, input.backend, input.region, fence, budgetMs],
    );
    const about = { job_id: input.jobId, execution_id: row.id, index: input.index };
    const job = await appendToRunningJob(tx, input.jobId, [
      { type: 'job.started', payload: { job_id: input.jobId }, onStart: true },
      ...(input.region !== row.region && row.region !== null
        ? [
            {
              type: 'execution.fallback',
              executionId: row.id,
              payload: { ...about, from_region: row.region, to_region: input.region },
            },
          ]
        : []),
      {
        type: 'execution.placed',
        executionId: row.id,
        payload: { ...about, region: input.region, backend: input.backend, attempt: input.attempt },
      },
      {
        type: 'execution.started',
        executionId: row.id,
        payload: { ...about, region: input.region, model: row.model, attempt: input.attempt },
      },
    ]);
    // After the job's lock: a cancel takes job and outbox in this order too.
    await tx.query(`delete from outbox where job_id = $1 and kind = 'start'`, [input.jobId]);
    return {
      kind: 'begun',
      job,
      work: {
        executionId: row.id,
        index: input.index,
        attempt: input.attempt,
        fence,
        raw: row.raw,
        images: row.images,
        model: row.model,
        question: row.question_text,
        region: input.region,
        budgetMs,
      },
    };
  });
}

/** Fences an attempt off: whatever still runs under its name can write nothing any more. */
async function loseAttempt(db: Queryable, executionId: string, attempt: number): Promise<void> {
  await db.query(
    `with lost as (
       update attempts set state = 'lost', ended_at = now() where execution_id = $1 and attempt = $2
     )
     update executions set fence = fence + 1 where id = $1`,
    [executionId, attempt],
  );
}

/** Keeps the outside world's names of an attempt; false when the attempt was fenced off meanwhile. */
export async function recordExternalIds(
  db: Queryable,
  work: Pick<WorkRow, 'executionId' | 'attempt' | 'fence'>,
  ids: Record<string, string>,
): Promise<boolean> {
  const { rowCount } = await db.query(
    `with gate as (
       update executions set phase = 'running' where id = $1 and fence = $3 and receipt_cid is null returning id
     )
     update attempts a set state = 'active', external_ids = $4
     from gate where a.execution_id = gate.id and a.attempt = $2 and a.state in ('intended', 'active', 'uncertain')`,
    [work.executionId, work.attempt, work.fence, JSON.stringify(ids)],
  );
  return rowCount === 1;
}

export interface StagedFile {
  name: string;
  size: number;
  mime: string;
  sha256: Uint8Array;
  cid: string | null;
}

export interface StagedOutcome {
  state: 'succeeded' | 'failed' | 'cancelled' | 'lost';
  /** What the receipt will say of this attempt, as JSON. */
  outcome: object | null;
  failure: Failure | null;
  durationMs: number | null;
  files: StagedFile[];
  /** Told to the feed when the attempt failed. */
  jobId: string;
}

/** Keeps how an attempt ended; false when it was fenced off, and then nothing is written. */
export async function stageOutcome(
  pool: Pool,
  work: Pick<WorkRow, 'executionId' | 'attempt' | 'fence' | 'index'>,
  staged: StagedOutcome,
): Promise<boolean> {
  return withTransaction(pool, async (tx) => {
    const { rowCount } = await tx.query(
      `with gate as (select id from executions where id = $1 and fence = $3 for update)
       update attempts a set state = $4, outcome = $5, failure = $6, duration_ms = $7, ended_at = now()
       from gate where a.execution_id = gate.id and a.attempt = $2 and a.state in ('intended', 'active', 'uncertain')`,
      [
        work.executionId,
        work.attempt,
        work.fence,
        staged.state,
        staged.outcome === null ? null : JSON.stringify(staged.outcome),
        staged.failure === null ? null : JSON.stringify(staged.failure),
        staged.durationMs,
      ],
    );
    if (rowCount !== 1) return false;
    if (staged.files.length > 0) {
      await tx.query(
        `insert into files (execution_id, attempt, direction, name, size, mime, sha256, cid)
         select $1, $2, 'output', * from unnest($3::text[], $4::bigint[], $5::text[], $6::bytea[], $7::text[])`,
        [
          work.executionId,
          work.attempt,
          staged.files.map((file) => file.name),
          staged.files.map((file) => file.size),
          staged.files.map((file) => file.mime),
          staged.files.map((file) => file.sha256),
          staged.files.map((file) => file.cid),
        ],
      );
    }
    if (staged.failure !== null) {
      await appendToRunningJob(tx, staged.jobId, [
        {
          type: 'execution.attempt_failed',
          executionId: work.executionId,
          payload: {
            job_id: staged.jobId,
            execution_id: work.executionId,
            index: work.index,
            attempt: work.attempt,
            code: staged.failure.code,
            retryable: staged.failure.retryable,
          },
        },
      ]);
    }
    return true;
  });
}

/** Whether `<execution>-<attempt>` is the live attempt of a running execution; a backend's leftovers are judged by it. */
export async function isAttemptLive(db: Queryable, name: string): Promise<boolean> {
  const match = /^([0-9a-f-]{36})-(\d{1,9})$/.exec(name);
  if (match === null) return false;
  const { rows } = await db.query(
    `select from attempts where execution_id = $1 and attempt = $2 and state in ('intended', 'active', 'uncertain')`,
    [match[1], Number(match[2])],
  );
  return rows.length > 0;
}
