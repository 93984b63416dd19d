import { withTransaction, type Pool, type Queryable } from './pool.ts';
import type { Plan } from '../domain/jobspec/plan.ts';

export type OutboxKind = 'start' | 'cancel' | 'repair';

export interface OutboxRow {
  id: number;
  kind: OutboxKind;
  jobId: string;
  sends: number;
  failures: number;
  /** Present on start rows. */
  plan: Plan;
}

/** Only one relay at a time decides on admission; any constant will do. */
const ADMISSION_LOCK = 7_235_091_449;

interface Claimed {
  id: number;
  kind: OutboxKind;
  job_id: string;
  sends: number;
  failures: number;
  plan: Plan;
}

const toRow = (row: Claimed): OutboxRow => ({
  id: row.id,
  kind: row.kind,
  jobId: row.job_id,
  sends: row.sends,
  failures: row.failures,
  plan: row.plan,
});

export interface ClaimOptions {
  /** Jobs that may be open in Temporal at once. */
  window: number;
  /** Rows a claim takes at most. */
  batch: number;
  leaseMs: number;
}

/**
 * Leases what must be told to Temporal next: cancels, repairs and starts to be sent again that are due; then urgent
 * starts; then waiting starts, as many as the window has room for, one of each key before the second of any.
 */
export async function claimOutbox(
  pool: Pool,
  { window, batch, leaseMs }: ClaimOptions,
): Promise<OutboxRow[]> {
  return withTransaction(pool, async (tx) => {
    await tx.query('select pg_advisory_xact_lock($1)', [ADMISSION_LOCK]);
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
       returning o.id, o.kind, o.job_id, o.sends, o.failures, j.plan`,
      [batch, leaseMs],
    );
    const room = await tx.query<{ room: number }>(
      `select $1 - (select count(*) from jobs where state = 'running')::int
                 - (select count(*) from outbox where kind = 'start' and quarantined_at is null
                    and (sent_at is not null or leased_until is not null)
                    and (sent_at is not null or leased_until > now()))::int as room`,
      [window],
    );
    const take = Math.min(batch, room.rows[0]?.room ?? 0);
    if (take <= 0) return due.rows.map(toRow);
    // A loose index scan over the keys that wait, then the oldest few of each: the key with the fewest jobs open first.
    const waiting = await tx.query<Claimed>(
      `with recursive keys as (
         (select owner from outbox where kind = 'start' and sent_at is null and quarantined_at is null order by owner limit 1)
         union all
         select (select o.owner from outbox o
                 where o.kind = 'start' and o.sent_at is null and o.quarantined_at is null and o.owner > keys.owner
                 order by o.owner limit 1)
         from keys where keys.owner is not null
       ), load as (
         select owner, count(*) as open from (
           select owner from jobs where state = 'running'
           union all
           select owner from outbox where kind = 'start' and quarantined_at is null
             and (sent_at is not null or leased_until is not null) and (sent_at is not null or leased_until > now())
         ) held group by owner
       ), candidates as (
         select c.id from keys left join load on load.owner = keys.owner cross join lateral (
           select o.id, row_number() over (order by o.id) as rank from outbox o
           where o.owner = keys.owner and o.kind = 'start' and o.sent_at is null and o.quarantined_at is null
             and o.next_at <= now() and (o.leased_until is null or o.leased_until < now())
           order by o.id limit $1
         ) c where keys.owner is not null
         order by coalesce(load.open, 0) + c.rank, c.id limit $1
       )
       update outbox o set leased_until = now() + $2 * interval '1 millisecond'
       from candidates c, jobs j where o.id = c.id and j.id = o.job_id
       returning o.id, o.kind, o.job_id, o.sends, o.failures, j.plan`,
      [take, leaseMs],
    );
    return [...due.rows, ...waiting.rows].map(toRow);
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
