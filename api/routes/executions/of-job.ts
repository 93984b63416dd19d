import {
  getReceipt,
  latestAttestedExecution,
  listAttempts,
  listJobExecutions,
  type ExecutionRow,
} from '../../../store/execution-reads.ts';
import { getPlan } from '../../../store/job-reads.ts';
import type { Pool } from '../../../store/pool.ts';
import type { ExecutionItem, TriedExecution } from '../../schemas.ts';
import { executionView, triedExecutionView } from './view.ts';

/** Outputs up to this size stand in lists, so that a full page stays below 4 MiB. */
export const LIST_OUTPUT_BYTES = 16 * 1024;

type Include = 'executions' | 'all' | 'latest';

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

/** Every execution of a job that may be seen, earlier tries too. */
export async function allJobExecutions(
  pool: Pool,
  jobId: string,
  page: { limit: number; offset: number },
): Promise<TriedExecution[]> {
  const input = { ...page, outputBytes: LIST_OUTPUT_BYTES, current: false };
  return withTries(pool, jobId, await listJobExecutions(pool, jobId, input));
}

/** Executions of one job with their tries. */
export async function withTries(
  pool: Pool,
  jobId: string | null,
  rows: readonly ExecutionRow[],
): Promise<TriedExecution[]> {
  const [attempts, plan] = await Promise.all([
    listAttempts(
      pool,
      rows.map((row) => row.id),
    ),
    jobId === null ? undefined : getPlan(pool, jobId),
  ]);
  return rows.map((row) => triedExecutionView(row, attempts.get(row.id) ?? [], plan));
}
