import { expect } from 'vitest';
import type { Core } from './core.ts';

/** Of a job that has ended: every execution has exactly one receipt and one log entry, the job its summary. */
export async function expectWhole({ db }: Core, jobId: string): Promise<void> {
  const { rows } = await db.pool.query(
    `select (select count(*)::int from executions where job_id = $1) as executions,
            (select count(*)::int from receipts where job_id = $1) as receipts,
            (select count(*)::int from log_pending where job_id = $1 and subject_kind = 'receipt') as entries,
            (select count(*)::int from log_pending where job_id = $1 and subject_kind = 'job') as summaries,
            (select count(*)::int from outbox where job_id = $1) as outbox,
            (select count(*)::int from events where stream = 'job:' || $1) as events,
            (select seq from jobs where id = $1) as seq`,
    [jobId],
  );
  const row = rows[0];
  expect(row.receipts).toBe(row.executions);
  expect(row.entries).toBe(row.executions);
  expect(row.summaries).toBe(1);
  expect(row.outbox).toBe(0);
  expect(row.events).toBe(row.seq);
}
