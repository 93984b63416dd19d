import type { Failure } from '../domain/failure.ts';
import type { AttemptState, ExecutionState } from '../domain/states.ts';
import type { Queryable } from './pool.ts';
import { sound } from './sound.ts';
import { viewedLists, viewerValues, visibleTo, type Viewer } from './principals.ts';

/** An execution is named by its UUID, or by its number for surfaces that want integers. */
export type ExecutionRef = { id: string } | { number: number };

export interface ExecutionRow {
  id: string;
  number: number;
  job_id: string | null;
  idx: number | null;
  follows: string | null;
  region: string | null;
  model: string | null;
  question: number | null;
  question_text: string | null;
  state: ExecutionState;
  phase: string | null;
  attempt: number;
  backend: string | null;
  provider: string | null;
  region_ran: string | null;
  region_claimed: string | null;
  region_observed: string | null;
  failure: Failure | null;
  receipt_cid: string | null;
  output_sha256: Buffer | null;
  /** The output's bytes when they are few enough for the answer that was asked for. */
  output: Buffer | null;
  created_at: Date;
  started_at: Date | null;
  ended_at: Date | null;
  duration_ms: number | null;
}

const EXECUTION_COLUMNS = `e.id, e.number, e.job_id, e.idx, e.follows, e.region, e.model, e.question, e.question_text,
  e.state, e.phase, e.attempt, e.backend, e.provider, e.region_ran, e.region_claimed, e.region_observed,
  e.failure, e.receipt_cid, e.output_sha256, e.created_at, e.started_at, e.ended_at, e.duration_ms`;

/** The output when it fits `$at` bytes; the length is read without reading the bytes. */
function smallOutput(at: number): string {
  return `(select b.bytes from blobs b where b.sha256 = e.output_sha256 and b.part = 0 and length(b.bytes) <= $${at}) as output`;
}

export interface PageInput {
  limit: number;
  offset: number;
  /** Outputs up to this size come with their execution. */
  outputBytes: number;
}

/**
 * Executions of one job in the order of its plan; the caller asked before whether the job may be seen. `current`: only
 * the last of each chain of retries.
 */
export async function listJobExecutions(
  db: Queryable,
  jobId: string,
  { limit, offset, outputBytes, current }: PageInput & { current: boolean },
): Promise<ExecutionRow[]> {
  const { rows } = await db.query<ExecutionRow>(
    `select ${EXECUTION_COLUMNS}, ${smallOutput(5)} from executions e
     where e.job_id = $1 and (not $2 or not exists (select from executions later where later.follows = e.id))
     order by e.idx, e.number limit $3 offset $4`,
    [jobId, current, limit, offset, outputBytes],
  );
  return rows;
}

/** The execution of a job that ended last, undefined while none has. */
export async function latestAttestedExecution(
  db: Queryable,
  jobId: string,
  outputBytes: number,
): Promise<ExecutionRow | undefined> {
  const { rows } = await db.query<ExecutionRow>(
    `select ${EXECUTION_COLUMNS}, ${smallOutput(2)} from executions e
     where e.job_id = $1 and e.receipt_cid is not null
     order by e.ended_at desc, e.number desc limit 1`,
    [jobId, outputBytes],
  );
  return rows[0];
}

/** Where a page of the list ended. `at` is PostgreSQL's own text of the time: a Date would lose its microseconds. */
export interface ExecutionPosition {
  at: string;
  id: string;
}

/** Executions of all jobs that `viewer` may list, newest first. Outputs are read for the rows of the page only. */
export async function listExecutions(
  db: Queryable,
  { limit, offset, after, outputBytes }: PageInput & { after?: ExecutionPosition },
  viewer: Viewer,
): Promise<(ExecutionRow & { at: string })[]> {
  const { visibilities, owner } = viewedLists(viewer);
  const { rows } = await db.query<ExecutionRow & { at: string }>({
    name: after === undefined ? 'list-executions' : 'list-executions-after',
    text: after === undefined ? LIST_EXECUTIONS : LIST_EXECUTIONS_AFTER,
    values: [
      visibilities,
      owner,
      limit,
      offset,
      outputBytes,
      ...(after === undefined ? [] : [after.at, after.id]),
    ],
  });
  return rows;
}

/** Merged from the first rows of each visibility that the viewer sees, as the list of jobs is. */
const listExecutionsText = (before: string): string => {
  const newest = `${before} order by created_at desc, id desc limit $3::int + $4::int`;
  return `select ${EXECUTION_COLUMNS}, ${smallOutput(5)},
            to_char(e.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at
     from (
       select p.* from unnest($1::text[]) as v (visibility), lateral (
         select created_at, id from executions where visibility = v.visibility ${newest}) p
       union all
       (select created_at, id from executions where visibility = 'private' and owner = $2::text ${newest})
       order by created_at desc, id desc limit $3::int offset $4::int
     ) page join executions e on e.id = page.id
     order by page.created_at desc, page.id desc`;
};
const LIST_EXECUTIONS = listExecutionsText('');
const LIST_EXECUTIONS_AFTER = listExecutionsText('and (created_at, id) < ($6::timestamptz, $7::uuid)');

/** How many there are for `viewer`: counted where they are stored. */
export async function countExecutions(db: Queryable, viewer: Viewer): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    `select (select coalesce(sum(value), 0)::bigint from counters
             where name = 'executions_public' or $1::bool and name = 'executions_private') +
            (select coalesce(sum(value), 0)::bigint from private_executions where not $1 and owner = $2::text) as n`,
    viewerValues(viewer),
  );
  return rows[0]?.n ?? 0;
}

export async function getExecution(
  db: Queryable,
  ref: ExecutionRef,
  viewer: Viewer,
  outputBytes: number,
): Promise<ExecutionRow | undefined> {
  const { rows } = await db.query<ExecutionRow>(
    `select ${EXECUTION_COLUMNS}, ${smallOutput(4)} from executions e
     where ${'id' in ref ? 'e.id = $3::uuid' : 'e.number = $3::bigint'} and ${visibleTo('e', 1)}`,
    [...viewerValues(viewer), 'id' in ref ? ref.id : ref.number, outputBytes],
  );
  return rows[0];
}

export interface AttemptRow {
  attempt: number;
  number: number;
  state: AttemptState;
  backend: string;
  region: string | null;
  budget_ms: number;
  failure: Failure | null;
  created_at: Date;
  ended_at: Date | null;
  duration_ms: number | null;
}

/** Attempts of these executions, each execution's in their order. */
export async function listAttempts(
  db: Queryable,
  executionIds: readonly string[],
): Promise<Map<string, AttemptRow[]>> {
  const { rows } = await db.query<AttemptRow & { execution_id: string }>(
    `select execution_id, attempt, number, state, backend, region, budget_ms, failure, created_at, ended_at, duration_ms
     from attempts where execution_id = any($1::uuid[]) order by execution_id, attempt`,
    [executionIds],
  );
  const attempts = new Map<string, AttemptRow[]>(executionIds.map((id) => [id, []]));
  for (const { execution_id: id, ...attempt } of rows) attempts.get(id)?.push(attempt);
  return attempts;
}

export interface FileRow {
  name: string;
  size: number;
  mime: string;
  sha256: Buffer;
  cid: string | null;
}

/** What one attempt left in its output folder. */
export async function listFiles(db: Queryable, executionId: string, attempt: number): Promise<FileRow[]> {
  const { rows } = await db.query<FileRow>(
    `select name, size, mime, sha256, cid from files
     where execution_id = $1 and attempt = $2 and direction = 'output' order by name`,
    [executionId, attempt],
  );
  return rows;
}

export interface LogLineRow {
  attempt: number;
  seq: number;
  time_us: number;
  source: 'stdout' | 'stderr' | 'system';
  line: string;
}

/** Lines of all attempts in order, after line `seq` of `attempt`. */
export async function listLogLines(
  db: Queryable,
  executionId: string,
  after: { attempt: number; seq: number },
  limit: number,
): Promise<LogLineRow[]> {
  const { rows } = await db.query<LogLineRow>(
    `select attempt, seq, time_us, source, line from attempt_logs
     where execution_id = $1 and (attempt, seq) > ($2, $3) order by attempt, seq limit $4`,
    [executionId, after.attempt, after.seq, limit],
  );
  return rows;
}

/** A receipt's bytes as they were stored, hashed again. */
export async function getReceipt(
  db: Queryable,
  executionId: string,
): Promise<{ cid: string; bytes: Buffer } | undefined> {
  const { rows } = await db.query<{ cid: string; digest: Buffer; bytes: Buffer }>(
    `select r.cid, r.digest, b.bytes from receipts r join blocks b on b.digest = r.digest where r.execution_id = $1`,
    [executionId],
  );
  const [row] = rows;
  return row && { cid: row.cid, bytes: sound(row.bytes, row.digest) };
}
