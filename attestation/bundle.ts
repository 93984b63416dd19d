import { fromUtf8, toBase64 } from '../domain/encoding.ts';
import {
  ERASURE_BUNDLE,
  EXECUTION_BUNDLE,
  JOB_BUNDLE,
  type ErasureBundle,
  type ExecutionBundle,
  type JobBundle,
  type LogLink,
} from '../domain/receipt/bundle.ts';
import {
  readLoggedJob,
  readLoggedKeys,
  readLoggedReceipt,
  readLoggedReceipts,
} from '../store/log-bundles.ts';
import { findErasureLog, readErasure, readErasuresOfJob, type MaybeErased } from '../store/erasure-reads.ts';
import type { Pool } from '../store/pool.ts';
import { LogServiceError } from './log/error.ts';
import type { StoredCheckpoint } from '../store/log-tiles.ts';
import { createLogReader, type LogReader } from './log/reader.ts';

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
): Promise<ExecutionBundle | ErasureBundle | undefined> {
  const erasure = await readErasure(pool, log.logId, executionId);
  if (erasure !== undefined) return erasureBundle(pool, log, erasure);
  const found = await readLoggedReceipt(pool, log.logId, executionId);
  if (found === undefined) return undefined;
  const { logged, spec } = found;
  if (logged === undefined)
    throw new LogServiceError('pending', 'the receipt is not in the log yet, but will be');
  const keys = await readLoggedKeys(pool, log.logId, [logged.keyId]);
  if (keys.at(-1)?.keyId !== logged.keyId)
    throw new LogServiceError('log_inconsistent', `no start entry of receipt key ${logged.keyId}`);
  const [link, ...keyLinks] = await prove(log, [logged, ...keys], await log.checkpoint());
  return {
    media_type: EXECUTION_BUNDLE,
    ...(spec === null ? {} : { spec: toBase64(spec) }),
    receipt: text(logged.document),
    ...link!,
    key_proof: keyLinks.at(-1)!,
    ...(keyLinks.length === 1 ? {} : { key_chain: keyLinks.slice(0, -1) }),
  };
}

/** What stands in for the bundle of an execution that was erased: the entry that says so. */
async function erasureBundle(pool: Pool, log: LogReader, erasure: MaybeErased): Promise<ErasureBundle> {
  if (erasure.index === null)
    throw new LogServiceError('pending', 'the erasure is not in the log yet, but will be');
  const keys = await readLoggedKeys(pool, log.logId, [erasure.keyId]);
  const logged = [{ ...erasure, index: erasure.index }, ...keys];
  const [link, ...keyLinks] = await prove(log, logged, await log.checkpoint());
  return {
    media_type: ERASURE_BUNDLE,
    erasure: link!,
    key_proof: keyLinks.at(-1)!,
    ...(keyLinks.length === 1 ? {} : { key_chain: keyLinks.slice(0, -1) }),
  };
}

/** Receipts of a job's bundle that are read at once: each has up to 64 KiB of output in it, and its envelope again. */
const RECEIPTS_AT_ONCE = 8;

export interface JobBundlePieces {
  /** The signed note that all proofs lead to, and what else is proven: the same job under the same is the same text. */
  checkpoint: string;
  pieces: AsyncGenerator<string, void>;
}

/**
 * The bundle of a job that has ended, with every receipt of it, as the pieces of its JSON text (`JobBundle`): a thousand
 * receipts never stand in memory together. Throws `pending`; undefined as above. Only the pieces after the first may
 * still fail, when what is stored contradicts itself.
 */
export async function jobBundle(
  pool: Pool,
  log: LogReader,
  jobId: string,
): Promise<JobBundlePieces | undefined> {
  const found = await readLoggedJob(pool, log.logId, jobId);
  if (found === undefined) return undefined;
  if (found === 'pending') throw new LogServiceError('pending', 'the job is not in the log yet, but will be');
  const { spec, summary, receipts } = found;
  const erasures = await readErasuresOfJob(pool, log.logId, jobId);
  const gone = new Set(erasures.map((erasure) => erasure.executionId));
  const erased = erasures.flatMap(({ index, ...erasure }) => (index === null ? [] : [{ ...erasure, index }]));
  const later = await erasedLater(
    pool,
    log,
    erasures.filter(({ index }) => index === null),
  );
  const left = receipts.filter((receipt) => !gone.has(receipt.executionId));
  const keyIds = [...new Set([summary, ...left, ...erased].map((logged) => logged.keyId))];
  const keys = await readLoggedKeys(pool, log.logId, keyIds);
  const checkpoint = await log.checkpoint();
  const [link, ...keyLinks] = await prove(log, [summary, ...keys], checkpoint);
  const head: Omit<JobBundle, 'executions' | 'key_proofs'> = {
    media_type: JOB_BUNDLE,
    spec: toBase64(spec),
    summary: { summary: text(summary.document), ...link! },
  };
  const ids = left.map((receipt) => receipt.executionId);

  async function* pieces(): AsyncGenerator<string, void> {
    yield `${JSON.stringify(head).slice(0, -1)},"executions":[`;
    for (let at = 0; at < ids.length; at += RECEIPTS_AT_ONCE) {
      const some = ids.slice(at, at + RECEIPTS_AT_ONCE);
      const page = await readLoggedReceipts(pool, log.logId, some);
      if (page.length < some.length)
        throw new LogServiceError('log_inconsistent', `receipts of ${jobId} are gone from the log`);
      const links = await prove(log, page, checkpoint);
      const executions: JobBundle['executions'] = page.map((receipt, i) => ({
        receipt: text(receipt.document),
        ...links[i]!,
      }));
      yield `${at === 0 ? '' : ','}${JSON.stringify(executions).slice(1, -1)}`;
    }
    const erasedLinks = erased.length === 0 ? undefined : await prove(log, erased, checkpoint);
    if (erasedLinks !== undefined) yield `],"erased":${JSON.stringify(erasedLinks).slice(0, -1)}`;
    if (later.length > 0)
      yield `],"erased_later":${JSON.stringify(later satisfies JobBundle['erased_later']).slice(0, -1)}`;
    yield `],"key_proofs":${JSON.stringify(keyLinks satisfies JobBundle['key_proofs'])}}`;
  }
  const checkpoints = [checkpoint.note, ...later.map(({ erasure }) => erasure.tlog_proof)];
  return { checkpoint: checkpoints.join('\n'), pieces: pieces() };
}

/** Erasures that the log of a job took no more, because it was closed: each with its proof from the log that has it. */
async function erasedLater(
  pool: Pool,
  log: LogReader,
  erasures: readonly MaybeErased[],
): Promise<ErasureBundle[]> {
  const bundles: ErasureBundle[] = [];
  for (const { executionId } of erasures) {
    const logId = await findErasureLog(pool, executionId);
    const found =
      logId === undefined || logId === log.logId ? undefined : await readErasure(pool, logId, executionId);
    if (logId === undefined || found === undefined)
      throw new LogServiceError('pending', 'an erasure is not in the log yet, but will be');
    bundles.push(await erasureBundle(pool, createLogReader(pool, logId), found));
  }
  return bundles;
}

async function prove(
  log: LogReader,
  logged: readonly Logged[],
  checkpoint: StoredCheckpoint,
): Promise<LogLink[]> {
  const indexes = logged.map(({ index }) => index);
  const proofs = await log.prove(indexes, checkpoint);
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
