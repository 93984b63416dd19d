import { findErasedCid, isErased, isSpecErased } from '../../store/erasure-reads.ts';
import type { Pool } from '../../store/pool.ts';
import type { Viewer } from '../../store/principals.ts';
import { ApiError } from '../errors.ts';

/** 410 when the execution was erased; asked where something of it is not there, or is about to be shown. */
export async function refuseErased(pool: Pool, executionId: string): Promise<void> {
  if (await isErased(pool, executionId))
    throw new ApiError('erased', { details: { execution_id: executionId } });
}

/** The same for the bytes of a CID. */
export async function refuseErasedCid(pool: Pool, cid: string, viewer: Viewer): Promise<void> {
  const executionId = await findErasedCid(pool, cid, viewer);
  if (executionId !== undefined) throw new ApiError('erased', { details: { execution_id: executionId } });
}

/** The same for the spec of a job. */
export async function refuseErasedSpec(pool: Pool, jobId: string): Promise<void> {
  if (await isSpecErased(pool, jobId)) throw new ApiError('erased', { details: { job_id: jobId } });
}
