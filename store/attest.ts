import type { Failure } from '../domain/failure.ts';
import type { Plan } from '../domain/jobspec/plan.ts';
import {
  isTerminal,
  type AttemptState,
  type ExecutionState,
  type TerminalOutcome,
} from '../domain/states.ts';
import { countUp } from './counters.ts';
import { eventColumns, type JobEvent } from './job-head.ts';
import type { Pool, Queryable, Transaction } from './pool.ts';

/** The job that executions belong to, as a receipt states it. */
export interface AttestedJob {
  id: string;
  owner: string;
  form: string;
  specSha256: Buffer;
  visibility: string;
  plan: Plan;
}

export interface AttestedAttempt {
  attempt: number;
  state: AttemptState;
  backend: string;
  region: string | null;
  external_ids: Record<string, string>;
  outcome: object | null;
  failure: Failure | null;
  duration_ms: number | null;
  created_at: string;
  ended_at: string | null;
}

export interface AttestedFile {
  name: string;
  size: number;
  mime: string;
  sha256: string;
  cid: string | null;
}

export interface AttestedExecution {
  id: string;
  index: number;
  state: ExecutionState;
  follows: string | null;
  region: string | null;
  model: string | null;
  question_index: number | null;
  question: string | null;
  attempts: AttestedAttempt[];
  /** Of the last attempt that has an outcome. */
  files: (AttestedFile & { attempt: number })[];
}

/** What `attest` builds receipts from: stored values only. */
export async function readForAttest(
  db: Queryable,
  jobId: string,
  indexes: readonly number[] | 'open',
  limit: number,
): Promise<{ job: AttestedJob; raw: Buffer; executions: AttestedExecution[] }> {
  const jobs = await db.query<{
    id: string;
    owner: string;
    form: string;
    raw: Buffer;
    spec_sha256: Buffer;
    visibility: string;
    plan: Plan;
  }>('select id, owner, form, raw, sha256(raw) as spec_sha256, visibility, plan from jobs where id = $1', [
    jobId,
  ]);
  const job = jobs.rows[0];
  if (job === undefined) throw new Error(`no job ${jobId}`);
  const { rows: executions } = await db.query<AttestedExecution>(
    `select e.id, e.idx as index, e.state, e.follows, e.region, e.model, e.question as question_index,
            e.question_text as question,
            (select coalesce(json_agg(json_build_object(
               'attempt', a.attempt, 'state', a.state, 'backend', a.backend, 'region', a.region,
               'external_ids', a.external_ids, 'outcome', a.outcome, 'failure', a.failure, 'duration_ms', a.duration_ms,
               'created_at', a.created_at, 'ended_at', a.ended_at) order by a.attempt), '[]')
             from attempts a where a.execution_id = e.id) as attempts,
            (select coalesce(json_agg(json_build_object(
               'attempt', f.attempt, 'name', f.name, 'size', f.size, 'mime', f.mime,
               'sha256', encode(f.sha256, 'hex'), 'cid', f.cid) order by f.name collate "C"), '[]')
             from files f where f.execution_id = e.id and f.direction = 'output') as files
     from executions e
     where e.job_id = $1 and e.follows is null and (e.idx = any($2) or $2 is null and e.receipt_cid is null)
     order by e.idx limit $3`,
    [jobId, indexes === 'open' ? null : indexes, limit],
  );
  return {
    job: {
      id: job.id,
      owner: job.owner,
      form: job.form,
      specSha256: job.spec_sha256,
      visibility: job.visibility,
      plan: job.plan,
    },
    raw: job.raw,
    executions,
  };
}

/** A signed document, its envelope and its log leaf, ready to be stored. */
export interface SignedDocument {
  cid: string;
  digest: Uint8Array;
  bytes: Uint8Array;
  dsse: Uint8Array;
  dsseCid: string;
  dsseDigest: Uint8Array;
  leaf: Uint8Array;
  keyId: string;
}

/** One execution's end, built but not yet true. */
export interface ExecutionEnd {
  execution: Pick<AttestedExecution, 'id' | 'index' | 'attempts'>;
  outcome: TerminalOutcome;
  failure: Failure | null;
  provider: string | null;
  regionClaimed: string | null;
  regionObserved: string | null;
  outputSha256: Uint8Array | null;
  /** Null above the size of one block. */
  outputCid: string | null;
  startedAt: string | null;
  endedAt: string;
  durationMs: number | null;
  receipt: SignedDocument;
  event: JobEvent;
}

/** An ended execution of a job, as summary and manifest list it. */
export interface EndedExecution {
  id: string;
  index: number;
  outcome: TerminalOutcome;
  region: string | null;
  regionRan: string | null;
  model: string | null;
  question: number | null;
  follows: string | null;
  receiptCid: string;
  receiptSha256: string;
  dsseCid: string;
  outputSha256: string | null;
  files: AttestedFile[];
}

/**
 * Locks the executions, in the order of their ids, and answers those that may be ended now: not ended yet, and not
 * touched since they were read (else the caller reads again).
 */
export async function lockForAttest(
  tx: Transaction,
  ends: readonly Pick<ExecutionEnd, 'execution'>[],
): Promise<{ ready: Set<string>; changed: boolean }> {
  const ids = ends.map((end) => end.execution.id);
  const { rows } = await tx.query<{ id: string; state: ExecutionState }>(
    'select id, state from executions where id = any($1::uuid[]) order by id for update',
    [ids],
  );
  const open = new Set(rows.filter((row) => !isTerminal(row.state)).map((row) => row.id));
  // A statement of its own: only one that begins after the locks were had sees what was committed before them.
  const attempts = await tx.query<{ execution_id: string; states: string }>(
    `select execution_id, string_agg(state, ',' order by attempt) as states from attempts
     where execution_id = any($1::uuid[]) group by execution_id`,
    [ids],
  );
  const states = new Map(attempts.rows.map((row) => [row.execution_id, row.states]));
  const ready = new Set<string>();
  let changed = false;
  for (const { execution } of ends) {
    if (!open.has(execution.id)) continue;
    if ((states.get(execution.id) ?? '') === execution.attempts.map((one) => one.state).join(','))
      ready.add(execution.id);
    else changed = true;
  }
  return { ready, changed };
}

/**
 * Makes executions terminal with their receipts, blocks and pending log entries. Attempts still under way are fenced
 * off: their backends may go on for a moment, but can write nothing.
 */
export async function endExecutions(
  tx: Transaction,
  job: AttestedJob,
  logId: string,
  ends: readonly ExecutionEnd[],
): Promise<void> {
  await storeSigned(
    tx,
    ends.map((end) => end.receipt),
  );
  await tx.query(
    `with e as (
       select * from unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[], $5::text[], $6::text[], $7::text[], $8::bytea[],
                            $13::text[], $14::bytea[])
         as e (id, cid, digest, dsse_digest, dsse_cid, key_id, outcome, leaf, output_cid, output_sha256)
     ), new_receipts as (
       insert into receipts (execution_id, cid, digest, dsse_digest, key_id, job_id, outcome)
       select id, cid, digest, dsse_digest, key_id, $9, outcome from e
     ), new_cids as (
       insert into cids (cid, digest, kind, job_id, execution_id)
       select cid, digest, 'receipt', $9, id from e union all select dsse_cid, dsse_digest, 'dsse', $9, id from e
       on conflict do nothing
     ), file_cids as (
       insert into cids (cid, digest, kind, job_id, execution_id)
       select distinct on (cid) cid, sha256, 'file', $9, id from (
         select f.cid, f.sha256, e.id from files f join e on e.id = f.execution_id where f.cid is not null
         union all
         select e.output_cid, e.output_sha256, e.id from e where e.output_cid is not null
       ) kept
       on conflict do nothing
     ), cut_off as (
       update attempts a set state = 'lost', ended_at = now() from e
       where a.execution_id = e.id and a.state in ('intended', 'active', 'uncertain')
     )
     insert into log_pending (log_id, subject_kind, subject_id, version, leaf, key_id, cid, job_id, execution_id, owner, visibility)
     select $10, 'receipt', id::text, 1, leaf, key_id, cid, $9, id, $11, $12 from e order by e.id`,
    [
      ends.map((end) => end.execution.id),
      ends.map((end) => end.receipt.cid),
      ends.map((end) => end.receipt.digest),
      ends.map((end) => end.receipt.dsseDigest),
      ends.map((end) => end.receipt.dsseCid),
      ends.map((end) => end.receipt.keyId),
      ends.map((end) => end.outcome),
      ends.map((end) => end.receipt.leaf),
      job.id,
      logId,
      job.owner,
      job.visibility,
      ends.map((end) => end.outputCid),
      ends.map((end) => end.outputSha256),
    ],
  );
  await tx.query(
    `update executions x set state = e.outcome, fence = x.fence + 1, failure = e.failure::json, provider = e.provider,
            region_claimed = e.claimed, region_observed = e.observed, output_sha256 = e.output, receipt_cid = e.cid,
            started_at = coalesce(e.started_at::timestamptz, x.started_at), ended_at = e.ended_at::timestamptz,
            duration_ms = e.duration_ms, phase = null
     from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::text[],
                 $9::text[], $10::text[], $11::bigint[])
       as e (id, outcome, failure, provider, claimed, observed, output, cid, started_at, ended_at, duration_ms)
     where x.id = e.id`,
    [
      ends.map((end) => end.execution.id),
      ends.map((end) => end.outcome),
      ends.map((end) => (end.failure === null ? null : JSON.stringify(end.failure))),
      ends.map((end) => end.provider),
      ends.map((end) => end.regionClaimed),
      ends.map((end) => end.regionObserved),
      ends.map((end) => end.outputSha256),
      ends.map((end) => end.receipt.cid),
      ends.map((end) => end.startedAt),
      ends.map((end) => end.endedAt),
      ends.map((end) => end.durationMs),
    ],
  );
}

/** A job's row as it stands under its lock. */
export interface JobHead {
  open: number;
  total: number;
  completed: number;
  cancelRequested: boolean;
}

/** Counts the ends down on the job's row and appends their events: takes the job's lock, last in the order of locks. */
export async function countDown(
  tx: Transaction,
  jobId: string,
  ends: readonly ExecutionEnd[],
): Promise<JobHead> {
  const { rows } = await tx.query<{
    open: number;
    total: number;
    completed: number;
    cancel_requested: boolean;
  }>(
    `with head as (
       update jobs set open = open - $2, completed = completed + $3, seq = seq + $2,
              state = case when state = 'accepted' then 'running' else state end,
              started_at = coalesce(started_at, now())
       where id = $1
       returning id, open, total, completed, seq, owner, visibility, cancel_requested_at is not null as cancel_requested
     ), told as (
       insert into events (stream, seq, type, payload, job_id, execution_id, owner, visibility)
       select 'job:' || head.id, head.seq - $2 + e.ord, e.type, e.payload::json, head.id, e.execution_id, head.owner, head.visibility
       from unnest($4::text[], $5::text[], $6::uuid[]) with ordinality as e (type, payload, execution_id, ord), head
     ), gone as (delete from outbox where job_id = $1 and kind = 'start')
     select open, total, completed, cancel_requested from head`,
    [
      jobId,
      ends.length,
      ends.filter((end) => end.outcome === 'completed').length,
      ...eventColumns(
        ends.map((end) => end.event),
        new Date(),
      ).slice(0, 3),
    ],
  );
  const head = rows[0]!;
  return {
    open: head.open,
    total: head.total,
    completed: head.completed,
    cancelRequested: head.cancel_requested,
  };
}

/** All executions of a job with their receipts, in order of index. Only meaningful when none is open. */
export async function readEnded(tx: Transaction, jobId: string): Promise<EndedExecution[]> {
  const { rows } = await tx.query<EndedExecution>(
    `select e.id, e.idx as index, e.state as outcome, e.region, e.region_ran as "regionRan", e.model, e.question, e.follows,
            r.cid as "receiptCid", encode(r.digest, 'hex') as "receiptSha256", d.cid as "dsseCid",
            encode(e.output_sha256, 'hex') as "outputSha256",
            (select coalesce(json_agg(json_build_object('name', f.name, 'size', f.size, 'mime', f.mime,
               'sha256', encode(f.sha256, 'hex'), 'cid', f.cid) order by f.name collate "C"), '[]')
             from files f where f.execution_id = e.id and f.direction = 'output' and f.attempt = e.attempt) as files
     from executions e
     join receipts r on r.execution_id = e.id
     join cids d on d.digest = r.dsse_digest and d.kind = 'dsse'
     where e.job_id = $1 order by e.idx, e.id`,
    [jobId],
  );
  return rows;
}

export interface JobEnd {
  outcome: TerminalOutcome;
  endedAt: string;
  summary: SignedDocument;
  manifest: { cid: string; digest: Uint8Array; bytes: Uint8Array };
  event: JobEvent;
}

/** Makes a job terminal, in the transaction that ended its last execution and holds its lock. */
export async function endJob(tx: Transaction, job: AttestedJob, logId: string, end: JobEnd): Promise<void> {
  await storeSigned(tx, [end.summary]);
  await tx.query('insert into blocks (digest, bytes) values ($1, $2) on conflict do nothing', [
    end.manifest.digest,
    end.manifest.bytes,
  ]);
  const [types, payloads] = eventColumns([end.event], new Date());
  await tx.query(
    `with summary as (
       insert into job_summaries (job_id, version, cid, digest, dsse_digest, key_id) values ($1, 1, $2, $3, $4, $5)
     ), new_cids as (
       insert into cids (cid, digest, kind, job_id)
       values ($2, $3, 'summary', $1), ($6, $4, 'dsse', $1), ($7, $8, 'manifest', $1) on conflict do nothing
     ), pending as (
       insert into log_pending (log_id, subject_kind, subject_id, version, leaf, key_id, cid, job_id, owner, visibility)
       values ($9, 'job', $1, 1, $10, $5, $2, $1, $11, $12)
     ), gone as (delete from outbox where job_id = $1),
     head as (
       update jobs set state = $13, ended_at = $14, summary_cid = $2, manifest_cid = $7, seq = seq + 1
       where id = $1 returning seq
     )
     insert into events (stream, seq, type, payload, job_id, owner, visibility)
     select 'job:' || $1, head.seq, $15, $16::json, $1, $11, $12 from head`,
    [
      job.id,
      end.summary.cid,
      end.summary.digest,
      end.summary.dsseDigest,
      end.summary.keyId,
      end.summary.dsseCid,
      end.manifest.cid,
      end.manifest.digest,
      logId,
      end.summary.leaf,
      job.owner,
      job.visibility,
      end.outcome,
      end.endedAt,
      types[0],
      payloads[0],
    ],
  );
  await countUp(tx, END_COUNTERS[end.outcome]);
}

const END_COUNTERS: Record<TerminalOutcome, string> = {
  completed: 'jobs_processed_total',
  failed: 'jobs_failed_total',
  expired: 'jobs_failed_total',
  cancelled: 'jobs_cancelled_total',
};

async function storeSigned(tx: Transaction, documents: readonly SignedDocument[]): Promise<void> {
  await tx.query(
    `insert into blocks (digest, bytes) select * from unnest($1::bytea[], $2::bytea[]) on conflict do nothing`,
    [
      documents.flatMap((document) => [document.digest, document.dsseDigest]),
      documents.flatMap((document) => [document.bytes, document.dsse]),
    ],
  );
}

/** Executions of a job that have no receipt yet. */
export async function countOpen(pool: Pool, jobId: string): Promise<number> {
  const { rows } = await pool.query<{ open: number }>('select open from jobs where id = $1', [jobId]);
  return rows[0]?.open ?? 0;
}
