import { isTerminal, type ExecutionState } from '../domain/states.ts';
import { appendToRunningJob } from './job-head.ts';
import { withTransaction, type Pool } from './pool.ts';
import type { WorkRow } from './work.ts';

export type NegotiationBegun =
  | { kind: 'begun'; executionId: string; row: Pick<WorkRow, 'raw' | 'images' | 'model'> }
  /** Ended, or told to end: nothing may start. */
  | { kind: 'stopped'; reason: 'terminal' | 'cancelled' };

interface Row extends Pick<WorkRow, 'raw' | 'images' | 'model'> {
  state: ExecutionState;
  cancelRequested: boolean;
}

/** Moves an execution to `placing`; like every first step of a job it takes the job's start row out of the outbox. */
export function beginNegotiation(
  pool: Pool,
  { jobId, index }: { jobId: string; index: number },
): Promise<NegotiationBegun> {
  return withTransaction(pool, async (tx) => {
    const locked = await tx.query<{ id: string }>(
      'select id from executions where job_id = $1 and idx = $2 and follows is null for update',
      [jobId, index],
    );
    const id = locked.rows[0]?.id;
    if (id === undefined) throw new Error(`job ${jobId} has no execution ${index}`);
    // A statement of its own: only one that begins after the lock was had sees what was committed before it.
    const { rows } = await tx.query<Row>(
      `select e.state, e.model, j.raw, j.cancel_requested_at is not null as "cancelRequested",
              (select coalesce(json_object_agg(i.image, i.digest), '{}') from job_images i where i.job_id = j.id) as images
       from executions e join jobs j on j.id = e.job_id where e.id = $1`,
      [id],
    );
    const { state, cancelRequested, ...row } = rows[0]!;
    if (isTerminal(state)) return { kind: 'stopped', reason: 'terminal' };
    if (cancelRequested) return { kind: 'stopped', reason: 'cancelled' };
    await tx.query(
      `update executions set state = 'placing', phase = 'negotiating' where id = $1 and state <> 'placing'`,
      [id],
    );
    await appendToRunningJob(tx, jobId, [{ type: 'job.started', payload: { job_id: jobId }, onStart: true }]);
    await tx.query(`delete from outbox where job_id = $1 and kind = 'start'`, [jobId]);
    return { kind: 'begun', executionId: id, row };
  });
}
