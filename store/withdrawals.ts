/**
 * What was published of a job of which something was erased is withdrawn: each place is asked to keep it no longer, and its
 * answer is kept. Nothing of that job is published from then on. An erasure takes the lock of the job's row, and so does
 * whoever is about to publish, so one of them sees the other.
 */
import { withTransaction, type Pool, type Queryable, type Transaction } from './pool.ts';

/** Withdraws what places have, or may be about to get, of a job. Its row must be locked. */
export async function withdrawPublications(tx: Transaction, jobId: string): Promise<void> {
  await tx.query(
    `update publications set withdrawn_at = now(), failures = 0,
       note = case when cid is null then 'erased before it was published' end,
       next_at = case when cid is not null then now() end
     where job_id = $1 and withdrawn_at is null`,
    [jobId],
  );
}

/**
 * Notes which tree a place is about to be given, before it is: an erasure then knows what to withdraw. False: something of
 * the job was erased, and nothing of it may be published.
 */
export async function claimPublication(
  pool: Pool,
  target: string,
  jobId: string,
  cid: string,
): Promise<boolean> {
  return withTransaction(pool, async (tx) => {
    await tx.query('select from jobs where id = $1 for no key update', [jobId]);
    const { rowCount } = await tx.query(
      `update publications set cid = $3 where target = $1 and job_id = $2 and withdrawn_at is null
         and not exists (select from erasures where job_id = $2)`,
      [target, jobId, cid],
    );
    if (rowCount === 1) return true;
    await withdrawPublications(tx, jobId);
    return false;
  });
}

/** A place was given a tree while it was withdrawn: it is asked once more. */
export async function withdrawAgain(tx: Transaction, target: string, jobId: string): Promise<void> {
  await tx.query(
    `update publications set removed_at = null, next_at = clock_timestamp()
     where target = $1 and job_id = $2 and withdrawn_at is not null`,
    [target, jobId],
  );
}

/** What a place answered when it was asked to keep a tree no longer; for nothing when it was given the tree meanwhile. */
export async function keepRemoval(
  db: Queryable,
  target: string,
  asked: { jobId: string; dueAt: string },
  answer: { removed: boolean; note: string; failures: number; againMs: number | null },
): Promise<void> {
  await db.query(
    `update publications set removed_at = case when $4 then now() end, note = $5, failures = $6,
       next_at = now() + $7 * interval '1 millisecond'
     where target = $1 and job_id = $2 and next_at::text = $3`,
    [target, asked.jobId, asked.dueAt, answer.removed, answer.note, answer.failures, answer.againMs],
  );
}

export interface Withdrawal {
  jobId: string;
  target: string;
  cid: string;
  removedAt: Date | null;
  /** The place's answer; null: none yet. */
  note: string | null;
}

/** Where jobs had been published that were withdrawn. */
export async function listWithdrawals(db: Queryable, jobIds: readonly string[]): Promise<Withdrawal[]> {
  const { rows } = await db.query<Withdrawal>(
    `select job_id as "jobId", target, cid, removed_at as "removedAt", note from publications
     where job_id = any($1) and withdrawn_at is not null and cid is not null order by job_id, target`,
    [jobIds],
  );
  return rows;
}
