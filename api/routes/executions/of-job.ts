import { latestAttestedExecution, getReceipt, listJobExecutions } from '../../../store/execution-reads.ts';
import type { Pool } from '../../../store/pool.ts';
import type { ExecutionItem } from '../../schemas.ts';
import { executionView } from './view.ts';

/** Outputs up to this size stand in lists, so that a full page stays below 4 MiB. */
export const LIST_OUTPUT_BYTES = 16 * 1024;

export type Include = 'executions' | 'all' | 'latest';

/** Executions of a job that may be seen. `latest` has one at most, with its receipt. */
export async function jobExecutions(
  pool: Pool,
  jobId: string,
  include: Include,
  page: { limit: number; offset: number },
): Promise<(ExecutionItem & { receipt?: unknown })[]> {
  if (include !== 'latest') {
    const input = { ...page, outputBytes: LIST_OUTPUT_BYTES, current: include === 'executions' };
    return (await listJobExecutions(pool, jobId, input)).map(executionView);
  }
  const latest = await latestAttestedExecution(pool, jobId, LIST_OUTPUT_BYTES);
  const receipt = latest === undefined ? undefined : await getReceipt(pool, latest.id);
  if (latest === undefined || receipt === undefined) return [];
  return [{ ...executionView(latest), receipt: JSON.parse(receipt.bytes.toString('utf8')) as unknown }];
}
