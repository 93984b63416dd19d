import { cidOfDigest } from '../domain/receipt/cid.ts';
import type { TerminalOutcome } from '../domain/states.ts';
import type { SignedDocument } from './attest.ts';
import type { AttestedFile, AttestedJob } from './attest-reads.ts';
import { counterShard } from './counters.ts';
import { eventColumns, type JobEvent } from './job-head.ts';
import { prepared, type Transaction } from './pool.ts';
import { visibleToOf } from './principals.ts';

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

const READ_ENDED = prepared(
  'read-ended',
  `select e.id, e.idx as index, e.state as outcome, e.region, e.region_ran as "regionRan", e.model, e.question, e.follows,
          r.cid as "receiptCid", encode(r.digest, 'hex') as "receiptSha256", r.dsse_digest as "dsseDigest",
          encode(e.output_sha256, 'hex') as "outputSha256",
          (select coalesce(json_agg(json_build_object('name', f.name, 'size', f.size, 'mime', f.mime,
             'sha256', encode(f.sha256, 'hex'), 'cid', f.cid) order by f.name collate "C"), '[]')
           from files f where f.execution_id = e.id and f.direction = 'output' and f.attempt = e.attempt) as files
   from executions e
   join receipts r on r.execution_id = e.id
   where e.job_id = $1 order by e.idx, e.id`,
);

/** All executions of a job with their receipts, in order of index. Only meaningful when none is open. */
export async function readEnded(tx: Transaction, jobId: string): Promise<EndedExecution[]> {
  const { rows } = await tx.query<Omit<EndedExecution, 'dsseCid'> & { dsseDigest: Buffer }>(
    READ_ENDED([jobId]),
  );
  return rows.map(({ dsseDigest, ...row }) => ({ ...row, dsseCid: cidOfDigest(dsseDigest) }));
}

export interface JobEnd {
  outcome: TerminalOutcome;
  endedAt: string;
  summary: SignedDocument;
  manifest: { cid: string; digest: Uint8Array; bytes: Uint8Array };
  event: JobEvent;
}

const END = prepared(
  'end-job',
  `with new_blocks as (
     insert into blocks (digest, bytes)
     values ($3::bytea, $17::bytea), ($4::bytea, $18::bytea), ($8::bytea, $19::bytea) on conflict do nothing
   ), summary as (
     insert into job_summaries (job_id, version, cid, digest, dsse_digest, key_id) values ($1, 1, $2, $3, $4, $5)
   ), new_cids as (
     insert into cids (cid, digest, kind, visible_to, job_id)
     values ($2, $3, 'summary', $22, $1), ($6, $4, 'dsse', $22, $1), ($7, $8, 'manifest', $22, $1)
     on conflict do nothing
   ), pending as (
     insert into log_pending (log_id, subject_kind, subject_id, version, leaf, key_id, cid, job_id, owner, visibility)
     values ($9, 'job', $1, 1, $10, $5, $2, $1, $11, $12)
   ), gone as (delete from outbox where job_id = $1),
   counted as (update counters set value = value + 1 where name = $20 and shard = $21),
   head as (
     update jobs set state = $13, ended_at = $14, summary_cid = $2, manifest_cid = $7, seq = seq + 1
     where id = $1 returning seq
   )
   insert into events (stream, seq, type, payload, job_id, owner, visibility)
   select 'job:' || $1, head.seq, $15, $16::json, $1, $11, $12 from head`,
);

/** Makes a job terminal, in the transaction that ended its last execution and holds its lock. */
export async function endJob(tx: Transaction, job: AttestedJob, logId: string, end: JobEnd): Promise<void> {
  const { summary, manifest } = end;
  const [types, payloads] = eventColumns([end.event], new Date());
  await tx.query(
    END([
      job.id,
      summary.cid,
      summary.digest,
      summary.dsseDigest,
      summary.keyId,
      summary.dsseCid,
      manifest.cid,
      manifest.digest,
      logId,
      summary.leaf,
      job.owner,
      job.visibility,
      end.outcome,
      end.endedAt,
      types[0],
      payloads[0],
      summary.bytes,
      summary.dsse,
      manifest.bytes,
      END_COUNTERS[end.outcome],
      counterShard(),
      visibleToOf(job),
    ]),
  );
}

const END_COUNTERS: Record<TerminalOutcome, string> = {
  completed: 'jobs_processed_total',
  failed: 'jobs_failed_total',
  expired: 'jobs_failed_total',
  cancelled: 'jobs_cancelled_total',
};
