import { appendToRunningJob } from './job-head.ts';
import { withTransaction, type Pool, type Queryable, type Transaction } from './pool.ts';
import type { WorkRow } from './work.ts';

export interface CostCap {
  platform: string;
  /** GLM, as a decimal. */
  cap: string;
}

export type Held =
  | { kind: 'held' }
  /** `left` of the job's budget does not hold the cap. */
  | { kind: 'refused'; left: string }
  | { kind: 'fenced' };

/**
 * Holds the cap of an attempt of its job's budget, under the job's row lock, so that attempts at once can never hold more
 * than all of it. What is known to have cost counts as that, everything else as its cap.
 */
export function holdCost(
  pool: Pool,
  work: Pick<WorkRow, 'executionId' | 'attempt' | 'fence'>,
  jobId: string,
  { platform, cap }: CostCap,
  maxCost: string | null,
): Promise<Held> {
  return withTransaction(pool, async (tx) => {
    const gate = await tx.query(
      'select from executions where id = $1 and fence = $2 and receipt_cid is null for update',
      [work.executionId, work.fence],
    );
    if (gate.rowCount !== 1) return { kind: 'fenced' };
    await tx.query('select from jobs where id = $1 for no key update', [jobId]);
    // A statement of its own: only one that begins after the lock was had sees what was committed before it.
    const { rows } = await tx.query<{ left: string | null }>(
      `with held as (
         select coalesce(sum(coalesce(accepted, cap)), 0) as amount from payments
         where job_id = $3 and (execution_id, attempt) <> ($1, $2)
       ), kept as (
         insert into payments as p (execution_id, attempt, job_id, platform, cap)
         select $1, $2, $3, $4, $5::numeric from held where $6::numeric is null or amount + $5::numeric <= $6::numeric
         on conflict (execution_id, attempt) do update set cap = excluded.cap where p.accepted is null
         returning 1
       )
       select case when exists (select from kept) then null
              else greatest(0, coalesce($6::numeric, 0) - amount)::numeric(38, 18)::text end as left
       from held`,
      [work.executionId, work.attempt, jobId, platform, cap, maxCost],
    );
    const left = rows[0]!.left;
    return left === null ? { kind: 'held' } : { kind: 'refused', left };
  });
}

/**
 * Writes down what an attempt cost, once; false when it was known already or nothing was ever held. What becomes known
 * after the receipt is told as an event: receipts and events together are what was spent.
 */
export function acceptCost(
  pool: Pool,
  { executionId, attempt }: Pick<WorkRow, 'executionId' | 'attempt'>,
  accepted: string,
): Promise<boolean> {
  return withTransaction(pool, async (tx) => {
    // `attest` reads what is known under the same lock.
    const { rows } = await tx.query<{ ended: boolean }>(
      'select receipt_cid is not null as ended from executions where id = $1 for update',
      [executionId],
    );
    const { rows: kept } = await tx.query<PaymentRow>(
      `update payments set accepted = $3::numeric, accepted_at = now(), note = null
       where execution_id = $1 and attempt = $2 and accepted is null
       returning job_id as "jobId", platform, accepted::text as amount`,
      [executionId, attempt, accepted],
    );
    const row = kept[0];
    if (row === undefined) return false;
    if (rows[0]?.ended === true) await tell(tx, 'payment.accepted', { executionId, attempt }, row);
    return true;
  });
}

/** Paid on chain; false when that was known, or nothing was accepted. */
export function settleCost(
  pool: Pool,
  { executionId, attempt }: Pick<WorkRow, 'executionId' | 'attempt'>,
): Promise<boolean> {
  return withTransaction(pool, async (tx) => {
    const { rows } = await tx.query<PaymentRow>(
      `update payments set settled_at = now(), note = null
       where execution_id = $1 and attempt = $2 and accepted > 0 and settled_at is null
       returning job_id as "jobId", platform, accepted::text as amount`,
      [executionId, attempt],
    );
    if (rows[0] === undefined) return false;
    await tell(tx, 'payment.settled', { executionId, attempt }, rows[0]);
    return true;
  });
}

interface PaymentRow {
  jobId: string | null;
  platform: string;
  amount: string;
}

async function tell(
  tx: Transaction,
  type: 'payment.accepted' | 'payment.settled',
  { executionId, attempt }: Pick<WorkRow, 'executionId' | 'attempt'>,
  { jobId, platform, amount }: PaymentRow,
): Promise<void> {
  if (jobId === null) return;
  const payload = { job_id: jobId, execution_id: executionId, attempt, platform, amount };
  await appendToRunningJob(tx, jobId, [{ type, executionId, payload }]);
}

/** An attempt of which it is not known what it cost, or not that it was paid. */
export interface OpenPayment {
  executionId: string;
  attempt: number;
  backend: string;
  platform: string;
  cap: string;
  /** Null: not known. */
  accepted: string | null;
  createdAt: Date;
  /** Since its end. */
  endedMs: number;
  /** What its backend recorded of the outside world. */
  ids: Record<string, string>;
}

const OPEN = `select p.execution_id as "executionId", p.attempt, a.backend, p.platform, p.cap::text as cap,
                     p.accepted::text as accepted, a.external_ids as ids, p.created_at as "createdAt",
                     coalesce(extract(epoch from now() - a.ended_at) * 1000, 0)::float8 as "endedMs"
              from payments p join attempts a on a.execution_id = p.execution_id and a.attempt = p.attempt`;

/** Ended attempts whose cost nobody knows, those that were looked at longest ago first. */
export async function listUnknownCosts(
  db: Queryable,
  backend: string,
  limit: number,
): Promise<OpenPayment[]> {
  const { rows } = await db.query<OpenPayment>(
    `${OPEN} where p.accepted is null and a.backend = $1 and a.state in ('succeeded', 'failed', 'lost', 'cancelled')
     order by p.looked_at nulls first limit $2`,
    [backend, limit],
  );
  return rows;
}

/** What was accepted and is not known to be paid. */
export async function listUnpaidCosts(db: Queryable, backend: string, limit: number): Promise<OpenPayment[]> {
  const { rows } = await db.query<OpenPayment>(
    `${OPEN} where p.accepted > 0 and p.settled_at is null and a.backend = $1
     order by p.looked_at nulls first limit $2`,
    [backend, limit],
  );
  return rows;
}

/** The attempts of these agreements whose cost is known. */
export async function listKnownCosts(
  db: Queryable,
  backend: string,
  agreements: readonly string[],
): Promise<{ executionId: string; attempt: number; agreement: string; accepted: string }[]> {
  if (agreements.length === 0) return [];
  const { rows } = await db.query<{
    executionId: string;
    attempt: number;
    agreement: string;
    accepted: string;
  }>(
    `select p.execution_id as "executionId", p.attempt, g.agreement, p.accepted::text as accepted
     from payments p join attempts a on a.execution_id = p.execution_id and a.attempt = p.attempt
     cross join lateral unnest(string_to_array(a.external_ids->>'agreement', ' ')) as g (agreement)
     where p.accepted is not null and a.backend = $1 and g.agreement = any($2)`,
    [backend, agreements],
  );
  return rows;
}

/** It was looked at and nothing new is known. */
export async function noteCost(
  db: Queryable,
  { executionId, attempt }: Pick<WorkRow, 'executionId' | 'attempt'>,
  note: string | null,
): Promise<void> {
  await db.query(
    'update payments set looked_at = now(), note = $3 where execution_id = $1 and attempt = $2',
    [executionId, attempt, note?.slice(0, 500) ?? null],
  );
}

/** What a job has cost and still may, by platform. */
export interface JobCost {
  platform: string;
  accepted: string;
  held: string;
  settled: string;
}

export async function readJobCost(db: Queryable, jobId: string): Promise<JobCost[]> {
  const { rows } = await db.query<JobCost>(
    `select platform, coalesce(sum(accepted), 0)::numeric(38, 18)::text as accepted,
            coalesce(sum(cap) filter (where accepted is null), 0)::numeric(38, 18)::text as held,
            coalesce(sum(accepted) filter (where settled_at is not null), 0)::numeric(38, 18)::text as settled
     from payments where job_id = $1 group by platform order by platform`,
    [jobId],
  );
  return rows;
}
