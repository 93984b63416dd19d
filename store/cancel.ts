import { isTerminal, type JobState } from '../domain/states.ts';
import { withTransaction, type Pool } from './pool.ts';
import { spendNonce } from './principals.ts';

export interface CancelInput {
  jobId: string;
  /** Who asks, as the event will say: `operator`, `key:<public key>`. */
  actor: string;
  /** The nonce of a signed request, spent together with the change. */
  nonce?: { owner: string; value: string };
}

export type Cancelled =
  { kind: 'requested' | 'ended'; previous: JobState } | { kind: 'unknown' } | { kind: 'nonce_spent' };

/**
 * Asks for a job's end: its flag, the event and the outbox row that tells Temporal are one transaction. Asking again
 * changes nothing, but tells Temporal again.
 */
export async function requestCancel(pool: Pool, { jobId, actor, nonce }: CancelInput): Promise<Cancelled> {
  return withTransaction(pool, async (tx) => {
    if (nonce !== undefined && !(await spendNonce(tx, nonce.owner, nonce.value)))
      return { kind: 'nonce_spent' };
    const { rows } = await tx.query<{ state: JobState; asked: boolean }>(
      'select state, cancel_requested_at is not null as asked from jobs where id = $1 for no key update',
      [jobId],
    );
    const job = rows[0];
    if (job === undefined) return { kind: 'unknown' };
    if (isTerminal(job.state)) return { kind: 'ended', previous: job.state };
    await tx.query(
      `with urgent as (
         update outbox set urgent = true
         where job_id = $1 and kind = 'start' and sent_at is null and quarantined_at is null
       ), refused as (
         -- Temporal does not take this start: the job ends by a repair, which needs no workflow of its own.
         delete from outbox where job_id = $1 and kind = 'start' and quarantined_at is not null returning owner
       ), repair as (
         insert into outbox (kind, job_id, owner) select 'repair', $1, owner from refused on conflict (job_id, kind) do nothing
       )
       insert into outbox (kind, job_id, owner) select 'cancel', id, owner from jobs where id = $1
       on conflict (job_id, kind) do nothing`,
      [jobId],
    );
    if (!job.asked) {
      await tx.query(
        `with head as (
           update jobs set cancel_requested_at = now(), seq = seq + 1 where id = $1
           returning id, seq, owner, visibility
         )
         insert into events (stream, seq, type, payload, job_id, owner, visibility, actor)
         select 'job:' || id, seq, 'job.cancel_requested', $2::json, id, owner, visibility, $3 from head`,
        [jobId, JSON.stringify({ job_id: jobId, timestamp: new Date().toISOString() }), actor],
      );
    }
    return { kind: 'requested', previous: job.state };
  });
}
