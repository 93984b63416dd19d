import type { Failure } from '../domain/failure.ts';
import type { AttemptState } from '../domain/states.ts';
import { appendToRunningJob } from './job-head.ts';
import { prepared, type Queryable, type Transaction } from './pool.ts';
import { MARK_AGAIN, NOT_FRESH } from './blobs.ts';

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

const RECORD = prepared(
  'record-external-ids',
  `with gate as (
     update executions set phase = 'running' where id = $1 and fence = $3 and receipt_cid is null returning id
   )
   update attempts a set state = 'active', external_ids = $4
   from gate where a.execution_id = gate.id and a.attempt = $2 and a.state in ('intended', 'active', 'uncertain')`,
);

/** Keeps the outside world's names of an attempt; false when the attempt was fenced off meanwhile. */
export async function recordExternalIds(
  db: Queryable,
  work: Pick<WorkRow, 'executionId' | 'attempt' | 'fence'>,
  ids: Record<string, string>,
): Promise<boolean> {
  const { rowCount } = await db.query(
    RECORD([work.executionId, work.attempt, work.fence, JSON.stringify(ids)]),
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
  /** Small outputs that are kept together with the outcome, each of one part (store/blobs.ts). */
  blobs: { sha256: Uint8Array; bytes: Uint8Array }[];
  /** Told to the feed when the attempt failed. */
  jobId: string;
}

const STAGE = prepared(
  'stage-outcome',
  `with gate as (
     select id from executions where id = $1 and fence = $3 for update
   ), kept as (
     update attempts a
     set state = $4, outcome = $5::json, failure = $6::json, duration_ms = $7, ended_at = now()
     from gate where a.execution_id = gate.id and a.attempt = $2 and a.state in ('intended', 'active', 'uncertain')
     returning a.execution_id
   ), new_files as (
     insert into files (execution_id, attempt, direction, name, size, mime, sha256, cid)
     select kept.execution_id, $2, 'output', f.*
     from kept, unnest($8::text[], $9::bigint[], $10::text[], $11::bytea[], $12::text[]) as f
   ), new_blobs as (
     insert into blobs (sha256, part, bytes)
     select b.sha256, 0, b.bytes from kept, unnest($13::bytea[], $14::bytea[]) as b (sha256, bytes)
     where ${NOT_FRESH('b.sha256', '0')}
     order by b.sha256 ${MARK_AGAIN}
   )
   select from kept`,
);

/** Keeps how an attempt ended; false when it was fenced off, and then nothing is written. */
export async function stageOutcome(
  tx: Transaction,
  work: Pick<WorkRow, 'executionId' | 'attempt' | 'fence' | 'index'>,
  staged: StagedOutcome,
): Promise<boolean> {
  const { files, blobs } = staged;
  const { rowCount } = await tx.query(
    STAGE([
      work.executionId,
      work.attempt,
      work.fence,
      staged.state,
      staged.outcome === null ? null : JSON.stringify(staged.outcome),
      staged.failure === null ? null : JSON.stringify(staged.failure),
      staged.durationMs,
      files.map((file) => file.name),
      files.map((file) => file.size),
      files.map((file) => file.mime),
      files.map((file) => file.sha256),
      files.map((file) => file.cid),
      blobs.map((blob) => blob.sha256),
      blobs.map((blob) => blob.bytes),
    ]),
  );
  if (rowCount !== 1) return isStagedAlready(tx, work, staged.state);
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
}

/**
 * Whether this attempt was kept as `state` by an earlier call whose answer was lost. Only the holder of the fence writes
 * an attempt's outcome, and the end of its execution raises the fence by one.
 */
async function isStagedAlready(
  tx: Transaction,
  work: Pick<WorkRow, 'executionId' | 'attempt' | 'fence'>,
  state: AttemptState,
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `select from executions e join attempts a on a.execution_id = e.id and a.attempt = $2
     where e.id = $1 and a.fence = $3 and a.state = $4
       and (e.fence = $3 or e.receipt_cid is not null and e.fence = $3 + 1)`,
    [work.executionId, work.attempt, work.fence, state],
  );
  return rowCount === 1;
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

/** An attempt's name and what it recorded of the outside world; undefined when it never began. */
export async function readTrace(
  db: Queryable,
  { jobId, index, attempt }: { jobId: string; index: number; attempt: number },
): Promise<{ name: string; ids: Record<string, string> } | undefined> {
  const { rows } = await db.query<{ name: string; ids: Record<string, string> }>(
    `select e.id || '-' || a.attempt as name, a.external_ids as ids
     from executions e join attempts a on a.execution_id = e.id
     where e.job_id = $1 and e.idx = $2 and e.follows is null and a.attempt = $3`,
    [jobId, index, attempt],
  );
  return rows[0];
}
