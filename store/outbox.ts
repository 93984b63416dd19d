import type { Plan } from '../domain/jobspec/plan.ts';
import { admitWaiting, countRoom, lockAdmission } from './admission.ts';
import { withTransaction, type Pool, type Queryable } from './pool.ts';

export type OutboxKind = 'start' | 'cancel' | 'repair';

export interface OutboxRow {
  id: number;
  kind: OutboxKind;
  jobId: string;
  /** The key that the job belongs to. */
  owner: string;
  sends: number;
  failures: number;
  /** Present on start rows. */
  plan: Plan;
  /** Of the request that submitted the job, where traces are written. */
  traceparent: string | null;
}

interface Claimed {
  id: number;
  kind: OutboxKind;
  job_id: string;
  owner: string;
  sends: number;
  failures: number;
  plan: Plan;
  traceparent: string | null;
}

const CLAIMED = 'o.id, o.kind, o.job_id, o.owner, o.sends, o.failures, j.plan, j.traceparent';

const toRow = (row: Claimed): OutboxRow => ({
  id: row.id,
  kind: row.kind,
  jobId: row.job_id,
  owner: row.owner,
  sends: row.sends,
  failures: row.failures,
  plan: row.plan,
  traceparent: row.traceparent,
});

export interface Claim {
  rows: OutboxRow[];
  /** Nothing more can be started before a job ends. */
  full: boolean;
}

export interface ClaimOptions {
  /** Jobs that may be open in Temporal at once. */
  window: number;
  /** Rows a claim takes at most. */
  batch: number;
  leaseMs: number;
}

/**
 * Leases what must be told to Temporal next: cancels, repairs and starts to be sent again that are due; then urgent
 * starts; then waiting starts, as many as the window has room for, one of each key before the second of any. A few of keys
 * that have nothing open are started beyond it.
 */
export async function claimOutbox(pool: Pool, { window, batch, leaseMs }: ClaimOptions): Promise<Claim> {
  return withTransaction(pool, async (tx) => {
    const after = await lockAdmission(tx);
    const due = await tx.query<Claimed>(
      `with due as (
         select id from outbox
         where (kind <> 'start' or sent_at is not null or quarantined_at is not null) and next_at <= now()
           and (leased_until is null or leased_until < now())
         order by next_at, id limit $1 for update skip locked
       ), urgent as (
         select id from outbox
         where kind = 'start' and sent_at is null and urgent and quarantined_at is null
           and next_at <= now() and (leased_until is null or leased_until < now())
         order by id limit $1 for update skip locked
       )
       update outbox o set leased_until = now() + $2 * interval '1 millisecond'
       from jobs j
       where o.id in (select id from due union select id from urgent) and j.id = o.job_id
       returning ${CLAIMED}`,
      [batch, leaseMs],
    );
    const room = await countRoom(tx, window);
    const ids = await admitWaiting(tx, { after, window, room, batch, leaseMs });
    const full = ids.length >= room;
    if (ids.length === 0) return { rows: due.rows.map(toRow), full };
    const waiting = await tx.query<Claimed>(
      `select ${CLAIMED} from unnest($1::bigint[]) with ordinality as a (id, place)
       join outbox o on o.id = a.id join jobs j on j.id = o.job_id order by a.place`,
      [ids],
    );
    return { rows: [...due.rows, ...waiting.rows].map(toRow), full };
  });
}

/** Starts were sent; they are sent again after `resendMs` unless the job's first step commits before. */
export async function markStartsSent(db: Queryable, ids: readonly number[], resendMs: number): Promise<void> {
  await db.query(
    `update outbox set sent_at = coalesce(sent_at, now()), sends = sends + 1, leased_until = null, last_error = null,
            next_at = now() + $2 * interval '1 millisecond'
     where id = any($1)`,
    [ids, resendMs],
  );
}

/** Temporal answered for good: nothing is left to tell. */
export async function dropOutbox(db: Queryable, ids: readonly number[]): Promise<void> {
  await db.query('delete from outbox where id = any($1)', [ids]);
}

/**
 * Temporal could not be told: again after `delayMs`. `quarantine`: it called the request invalid, so the row no longer
 * counts as under way; it is still tried again, in case an operator mended the cause.
 */
export async function markOutboxFailed(
  db: Queryable,
  id: number,
  error: string,
  delayMs: number,
  quarantine: boolean,
): Promise<void> {
  await db.query(
    `update outbox set failures = failures + 1, leased_until = null, last_error = $2,
            next_at = now() + $3 * interval '1 millisecond',
            quarantined_at = case when $4 then now() end
     where id = $1`,
    [id, error.slice(0, 500), delayMs, quarantine],
  );
}

/**
 * Temporal knows no workflow for this cancel: again after `delayMs` where the job's start is still to be told, or was told
 * a moment ago. False = there is none, so nothing is left to cancel.
 */
export async function delayCancel(db: Queryable, id: number, delayMs: number): Promise<boolean> {
  const { rowCount } = await db.query(
    `update outbox c set failures = failures + 1, leased_until = null, next_at = now() + $2 * interval '1 millisecond'
     where id = $1 and exists (select from outbox s where s.job_id = c.job_id and s.kind = 'start')`,
    [id, delayMs],
  );
  return rowCount === 1;
}

/** The workflow of an unended job is closed: end the job by a repair instead of a start. */
export async function requestRepair(db: Queryable, jobId: string): Promise<void> {
  await db.query(
    `with gone as (delete from outbox where job_id = $1 and kind = 'start'),
     absence as (delete from workflow_absences where job_id = $1)
     insert into outbox (kind, job_id, owner)
     select 'repair', id, owner from jobs where id = $1 and state in ('accepted', 'running')
     on conflict (job_id, kind) do nothing`,
    [jobId],
  );
}
