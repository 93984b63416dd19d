import { fromUtf8, toBase64 } from '../domain/encoding.ts';
import {
  EXECUTION_BUNDLE,
  JOB_BUNDLE,
  type ExecutionBundle,
  type JobBundle,
  type LogLink,
} from '../domain/receipt/bundle.ts';
import { readLoggedJob, readLoggedKeys, readLoggedReceipt } from '../store/log-bundles.ts';
import type { Pool } from '../store/pool.ts';
import { LogServiceError } from './log/error.ts';
import type { LogReader } from './log/reader.ts';

interface Logged {
  dsse: Uint8Array;
  leaf: Uint8Array;
  index: number;
}

/**
 * The bundle of an execution, under the newest checkpoint. Throws `pending` until its receipt stands in the log;
 * undefined when there is no such execution or it has not ended.
 */
export async function executionBundle(
  pool: Pool,
  log: LogReader,
  executionId: string,
): Promise<ExecutionBundle | undefined> {
  const found = await readLoggedReceipt(pool, log.logId, executionId);
  if (found === undefined) return undefined;
  const { logged, spec } = found;
  if (logged === undefined)
    throw new LogServiceError('pending', 'the receipt is not in the log yet, but will be');
  const [key] = await readLoggedKeys(pool, log.logId, [logged.keyId]);
  if (key === undefined)
    throw new LogServiceError('log_inconsistent', `no start entry of receipt key ${logged.keyId}`);
  const [link, keyLink] = await prove(log, [logged, key]);
  return {
    media_type: EXECUTION_BUNDLE,
    ...(spec === null ? {} : { spec: toBase64(spec) }),
    receipt: text(logged.document),
    ...link!,
    key_proof: keyLink!,
  };
}

/** The bundle of a job that has ended, with every receipt of it. Throws `pending`; undefined as above. */
export async function jobBundle(pool: Pool, log: LogReader, jobId: string): Promise<JobBundle | undefined> {
  const found = await readLoggedJob(pool, log.logId, jobId);
  if (found === undefined) return undefined;
  if (found === 'pending') throw new LogServiceError('pending', 'the job is not in the log yet, but will be');
  const { spec, summary, receipts } = found;
  const keyIds = [...new Set([summary, ...receipts].map((logged) => logged.keyId))];
  const keys = await readLoggedKeys(pool, log.logId, keyIds);
  const links = await prove(log, [summary, ...receipts, ...keys]);
  return {
    media_type: JOB_BUNDLE,
    spec: toBase64(spec),
    summary: { summary: text(summary.document), ...links[0]! },
    executions: receipts.map((receipt, i) => ({ receipt: text(receipt.document), ...links[i + 1]! })),
    key_proofs: links.slice(1 + receipts.length),
  };
}

async function prove(log: LogReader, logged: readonly Logged[]): Promise<LogLink[]> {
  const indexes = logged.map(({ index }) => index);
  const proofs = await log.prove(indexes, await log.checkpoint());
  return logged.map(({ dsse, leaf }, i) => ({
    dsse: text(dsse),
    leaf: text(leaf),
    tlog_proof: proofs[i]!.tlogProof,
  }));
}

function text(bytes: Uint8Array): string {
  const decoded = fromUtf8(bytes);
  if (decoded === undefined) throw new LogServiceError('log_inconsistent', 'a stored document is not UTF-8');
  return decoded;
}
