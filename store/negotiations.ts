import type { NegotiationOutcome } from '../observability/metrics.ts';
import { appendToRunningJob } from './job-head.ts';
import { withTransaction, type Pool, type Queryable } from './pool.ts';

export interface NegotiationRecord {
  jobId: string;
  executionId: string;
  /** Null: a look at the market, before there was an attempt. */
  attempt: number | null;
  backend: string;
  region: string | null;
  outcome: NegotiationOutcome;
  durationMs: number;
  /** What `explain` shows. */
  record: object;
  /** Counts for the event; no texts of providers. */
  counts: Readonly<Record<string, number | Readonly<Record<string, number>>>>;
}

/** Records of one execution are bounded: a look costs nothing, and there may be many while a market is empty. */
const KEPT = 200;
const RECORD_BYTES = 16_000;

/** Keeps what a look or an attempt's talks came to, and tells the job's stream. */
export async function keepNegotiation(pool: Pool, kept: NegotiationRecord): Promise<void> {
  const { jobId, executionId, attempt, backend, region, outcome, durationMs } = kept;
  const text = JSON.stringify(kept.record);
  const record =
    Buffer.byteLength(text) <= RECORD_BYTES ? text : JSON.stringify({ cut: true, ...kept.counts });
  await withTransaction(pool, async (tx) => {
    const { rows } = await tx.query<{ last: number }>(
      `select coalesce((select max(number) from negotiations where execution_id = e.id), 0)::int as last
       from executions e where e.id = $1 for update`,
      [executionId],
    );
    const number = (rows[0]?.last ?? 0) + 1;
    await tx.query(
      `with old as (delete from negotiations where execution_id = $1 and number <= $2 - ${KEPT})
       insert into negotiations (execution_id, number, attempt, backend, region, outcome, record)
       values ($1, $2, $3, $4, $5, $6, $7)`,
      [executionId, number, attempt, backend, region, outcome, record],
    );
    const payload = {
      job_id: jobId,
      execution_id: executionId,
      ...(attempt === null ? {} : { attempt }),
      backend,
      region,
      outcome,
      duration_ms: Math.round(durationMs),
      ...kept.counts,
    };
    const type = attempt === null ? 'negotiation.looked' : 'negotiation.ended';
    await appendToRunningJob(tx, jobId, [{ type, executionId, payload }]);
  });
}

export interface KeptNegotiation {
  attempt: number | null;
  backend: string;
  region: string | null;
  outcome: NegotiationOutcome;
  record: Record<string, unknown>;
  recorded_at: Date;
}

/** Of an execution, the newest first. */
export async function listNegotiations(
  db: Queryable,
  executionId: string,
  limit = KEPT,
): Promise<KeptNegotiation[]> {
  const { rows } = await db.query<KeptNegotiation>(
    `select attempt, backend, region, outcome, record, recorded_at from negotiations
     where execution_id = $1 order by number desc limit $2`,
    [executionId, limit],
  );
  return rows;
}
