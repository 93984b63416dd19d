import { getExecution } from '../../../store/execution-reads.ts';
import { getJobState } from '../../../store/job-reads.ts';
import type { LogEntry } from '../../../store/log-entries.ts';
import { findCid, listReceiptCids } from '../../../store/log-reads.ts';
import type { Pool, Queryable } from '../../../store/pool.ts';
import type { Viewer } from '../../../store/principals.ts';
import { ApiError } from '../../errors.ts';
import { parseExecutionRef } from '../executions/find.ts';

/** The execution that `text` names, as far as `viewer` may see it. */
export async function visibleExecution(pool: Queryable, text: string, viewer: Viewer): Promise<string> {
  const row = await getExecution(pool, parseExecutionRef(text), viewer, 0);
  if (row === undefined) throw new ApiError('proof_not_found');
  return row.id;
}

/** `cid`, when it is that of a receipt or summary that `viewer` may see: those stand in the log. */
export async function visibleCid(pool: Queryable, cid: string, viewer: Viewer): Promise<string> {
  const found = await findCid(pool, cid, viewer);
  if (found?.kind === 'manifest' && found.job_id !== null) {
    throw new ApiError('cid_is_bundle', {
      details: { job_id: found.job_id, receipts: await listReceiptCids(pool, found.job_id) },
    });
  }
  if (found === undefined || found.kind === 'file' || found.kind === 'dsse')
    throw new ApiError('proof_not_found');
  return cid;
}

/** Whether `viewer` may know what an entry is about; of a private job's he sees the leaf alone. */
export async function seesSubject(pool: Pool, entry: LogEntry, viewer: Viewer): Promise<boolean> {
  return entry.jobId === null || (await getJobState(pool, entry.jobId, viewer)) !== undefined;
}

/** What an entry is about. */
export function subjectOf(entry: LogEntry) {
  return {
    subject_kind: entry.subjectKind,
    execution_id: entry.executionId,
    job_id: entry.jobId,
    // `ipfs_cid` is always that of a receipt (spec: core §2).
    ipfs_cid: entry.subjectKind === 'receipt' ? entry.cid : null,
    summary_cid: entry.subjectKind === 'job' ? entry.cid : null,
  };
}
