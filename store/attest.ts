import type { Failure } from '../domain/failure.ts';
import { isTerminal, type ExecutionState, type TerminalOutcome } from '../domain/states.ts';
import type { AttestedExecution, AttestedJob } from './attest-reads.ts';
import { eventColumns, type JobEvent } from './job-head.ts';
import { prepared, type Transaction } from './pool.ts';
import { visibleToOf } from './principals.ts';

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
  /** The attempt that the receipt states, whose files are the execution's; null when none has an outcome. */
  decidedBy: number | null;
  receipt: SignedDocument;
  event: JobEvent;
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
    `select a.execution_id, string_agg(a.state || coalesce(' ' || p.cap || ' ' || p.accepted, ''), ',' order by a.attempt) as states
     from attempts a left join payments p on p.execution_id = a.execution_id and p.attempt = a.attempt
     where a.execution_id = any($1::uuid[]) group by a.execution_id`,
    [ids],
  );
  const states = new Map(attempts.rows.map((row) => [row.execution_id, row.states]));
  const ready = new Set<string>();
  let changed = false;
  for (const { execution } of ends) {
    if (!open.has(execution.id)) continue;
    if ((states.get(execution.id) ?? '') === execution.attempts.map(seenAs).join(','))
      ready.add(execution.id);
    else changed = true;
  }
  return { ready, changed };
}

/** An attempt whose cost became known meanwhile has changed too. */
function seenAs({ state, cost }: ExecutionEnd['execution']['attempts'][number]): string {
  return cost === null || cost.accepted === null ? state : `${state} ${cost.cap} ${cost.accepted}`;
}

const END = prepared(
  'end-executions',
  `with e as (
     select * from unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[], $5::text[], $6::text[], $7::text[], $8::bytea[],
                          $9::text[], $10::bytea[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
                          $16::text[], $17::bigint[], $18::int[])
       as e (id, cid, digest, dsse_digest, dsse_cid, key_id, outcome, leaf, output_cid, output_sha256, failure, provider,
             claimed, observed, started_at, ended_at, duration_ms, attempt)
   ), new_blocks as (
     insert into blocks (digest, bytes) select * from unnest($19::bytea[], $20::bytea[]) on conflict do nothing
   ), new_receipts as (
     insert into receipts (execution_id, cid, digest, dsse_digest, key_id, job_id, outcome)
     select id, cid, digest, dsse_digest, key_id, $21, outcome from e
   ), new_cids as (
     insert into cids (cid, digest, kind, visible_to, job_id, execution_id)
     select cid, digest, 'receipt', $25, $21, id from e union all select dsse_cid, dsse_digest, 'dsse', $25, $21, id from e
     on conflict do nothing
   ), file_cids as (
     -- In order, so that no two transactions with the same files wait for each other.
     insert into cids (cid, digest, kind, visible_to, job_id, execution_id)
     select distinct on (cid) cid, sha256, kind, $25, $21, id from (
       select f.cid, f.sha256, 'file' as kind, e.id from files f join e on e.id = f.execution_id where f.cid is not null
       union all
       select b.leaf_cid, f.sha256, 'leaf', e.id
       from files f join e on e.id = f.execution_id join blobs b on b.sha256 = f.sha256
       where f.size > 1048576 and b.leaf_cid is not null
       union all
       select e.output_cid, e.output_sha256, 'file', e.id from e where e.output_cid is not null
     ) kept order by cid, kind
     on conflict do nothing
   ), cut_off as (
     update attempts a set state = 'lost', ended_at = now() from e
     where a.execution_id = e.id and a.state in ('intended', 'active', 'uncertain')
   ), pending as (
     insert into log_pending (log_id, subject_kind, subject_id, version, leaf, key_id, cid, job_id, execution_id, owner, visibility)
     select $22, 'receipt', id::text, 1, leaf, key_id, cid, $21, id, $23, $24 from e order by e.id
   )
   update executions x
   set state = e.outcome, fence = x.fence + 1, failure = e.failure::json, provider = e.provider,
       region_claimed = e.claimed, region_observed = e.observed, output_sha256 = e.output_sha256, receipt_cid = e.cid,
       started_at = coalesce(e.started_at::timestamptz, x.started_at), ended_at = e.ended_at::timestamptz,
       duration_ms = e.duration_ms, attempt = coalesce(e.attempt, x.attempt), phase = null
   from e where x.id = e.id`,
);

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
  await tx.query(
    END([
      ends.map((end) => end.execution.id),
      ends.map((end) => end.receipt.cid),
      ends.map((end) => end.receipt.digest),
      ends.map((end) => end.receipt.dsseDigest),
      ends.map((end) => end.receipt.dsseCid),
      ends.map((end) => end.receipt.keyId),
      ends.map((end) => end.outcome),
      ends.map((end) => end.receipt.leaf),
      ends.map((end) => end.outputCid),
      ends.map((end) => end.outputSha256),
      ends.map((end) => (end.failure === null ? null : JSON.stringify(end.failure))),
      ends.map((end) => end.provider),
      ends.map((end) => end.regionClaimed),
      ends.map((end) => end.regionObserved),
      ends.map((end) => end.startedAt),
      ends.map((end) => end.endedAt),
      ends.map((end) => end.durationMs),
      ends.map((end) => end.decidedBy),
      ends.flatMap(({ receipt }) => [receipt.digest, receipt.dsseDigest]),
      ends.flatMap(({ receipt }) => [receipt.bytes, receipt.dsse]),
      job.id,
      logId,
      job.owner,
      job.visibility,
      visibleToOf(job),
    ]),
  );
}

/** A job's row as it stands under its lock. */
export interface JobHead {
  open: number;
  total: number;
  completed: number;
  cancelRequested: boolean;
}

const COUNT_DOWN = prepared(
  'count-down',
  `with head as (
     update jobs set open = open - $2::int, completed = completed + $3::int, seq = seq + $2::int,
            state = case when state = 'accepted' then 'running' else state end,
            started_at = coalesce(started_at, now())
     where id = $1
     returning id, open, total, completed, seq, owner, visibility,
               cancel_requested_at is not null as "cancelRequested"
   ), told as (
     insert into events (stream, seq, type, payload, job_id, execution_id, owner, visibility)
     select 'job:' || head.id, head.seq - $2::int + e.ord, e.type, e.payload::json, head.id, e.execution_id, head.owner,
            head.visibility
     from unnest($4::text[], $5::text[], $6::uuid[]) with ordinality as e (type, payload, execution_id, ord), head
   ), gone as (delete from outbox where job_id = $1 and kind = 'start')
   select open, total, completed, "cancelRequested" from head`,
);

/** Counts the ends down on the job's row and appends their events: takes the job's lock, last in the order of locks. */
export async function countDown(
  tx: Transaction,
  jobId: string,
  ends: readonly ExecutionEnd[],
): Promise<JobHead> {
  const { rows } = await tx.query<JobHead>(
    COUNT_DOWN([
      jobId,
      ends.length,
      ends.filter((end) => end.outcome === 'completed').length,
      ...eventColumns(
        ends.map((end) => end.event),
        new Date(),
      ).slice(0, 3),
    ]),
  );
  return rows[0]!;
}
