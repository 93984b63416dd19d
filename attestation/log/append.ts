import { toHex } from '../../domain/encoding.ts';
import { treeHash } from '../../domain/log/hash.ts';
import { appendToStream, type NewEvent } from '../../store/events.ts';
import { appendBatch } from '../../store/log-append.ts';
import { readFirstKey, readPending, settleRepeated, type PendingEntry } from '../../store/log-pending.ts';
import { lockHead, LogStoreError } from '../../store/log-state.ts';
import { withTransaction, type Pool } from '../../store/pool.ts';
import { nodeSha256 } from '../keys/node-verifiers.ts';
import { noFaults, type Faults } from './faults.ts';
import type { LoadedLog } from './load.ts';

/** Entries of one batch: bounds the transaction, not the rate. */
const BATCH_ENTRIES = 1_024;

const hash = treeHash(nodeSha256);

export interface Appended {
  log: LoadedLog;
  /** 0 when nothing was pending. */
  entries: number;
  /** Entries whose subject stands in the log with another leaf: never appended. */
  contradicting: readonly PendingEntry[];
}

/**
 * Takes what is pending, extends the tree and commits all of it together: entries, full tiles, head and events. Throws
 * without any effect when somebody else moved the head. Nobody is shown any of it until `publishHead` signed it.
 */
export async function appendPending(
  pool: Pool,
  logId: string,
  log: LoadedLog,
  faults: Faults = noFaults,
): Promise<Appended> {
  const pending = await nextPending(pool, logId, log);
  const fresh = pending.filter((entry) => entry.repeated === null);
  const contradicting = pending.filter((entry) => entry.repeated === false);
  if (fresh.length < pending.length) await settle(pool, pending);
  if (fresh.length === 0) return { log, entries: 0, contradicting };

  const frontier = log.frontier.fork();
  const before = { size: frontier.size, root: log.root };
  const hashes = fresh.map((entry) => hash.leaf(entry.leaf));
  const tiles = hashes.flatMap((leafHash) => frontier.append(leafHash));
  const { size } = frontier;
  const root = frontier.root();
  await faults('before_append');

  await withTransaction(pool, async (tx) => {
    const head = await lockHead(tx, logId);
    if (head.size !== before.size)
      throw new LogStoreError('head_moved', 'another sequencer moved the head of the log');
    await appendBatch(tx, {
      logId,
      before,
      after: { size, root },
      pending: fresh.map((entry, i) => ({ id: entry.id, leafHash: hashes[i]! })),
      tiles,
    });
    await appendToStream(
      tx,
      `log:${logId}`,
      fresh.map((entry, i) => appendedEvent(logId, entry, before.size + i, size, root)),
    );
    await faults('before_commit');
  });
  await faults('after_commit');
  const started = fresh.filter((entry) => entry.subjectKind === 'key').map((entry) => entry.subjectId);
  const after = { frontier, root, startedKeys: [...log.startedKeys, ...started] };
  return { log: after, entries: fresh.length, contradicting };
}

/** The first entry of a log is the start of a receipt key; everything else needs a key that has started. */
async function nextPending(pool: Pool, logId: string, log: LoadedLog): Promise<PendingEntry[]> {
  if (log.frontier.size > 0) return readPending(pool, logId, log.startedKeys, BATCH_ENTRIES);
  const first = await readFirstKey(pool, logId);
  return first === undefined ? [] : [first];
}

async function settle(pool: Pool, pending: readonly PendingEntry[]): Promise<void> {
  const ids = (repeated: boolean) =>
    pending.filter((entry) => entry.repeated === repeated).map((entry) => entry.id);
  await settleRepeated(pool, ids(true), ids(false));
}

function appendedEvent(
  logId: string,
  entry: PendingEntry,
  index: number,
  size: number,
  root: Uint8Array,
): NewEvent {
  const merkleRoot = toHex(root);
  return {
    type: 'transparency.entry_appended',
    jobId: entry.jobId,
    executionId: entry.executionId,
    owner: entry.owner,
    visibility: entry.visibility,
    payload: {
      log_id: logId,
      log_index: index,
      tree_size: size,
      ...(entry.executionId === null ? {} : { execution_id: entry.executionId }),
      ...(entry.jobId === null ? {} : { job_id: entry.jobId }),
      subject_kind: entry.subjectKind,
      ...(entry.cid === null
        ? {}
        : { [entry.subjectKind === 'job' ? 'summary_cid' : 'ipfs_cid']: entry.cid }),
      merkle_root: merkleRoot,
      root: merkleRoot,
      timestamp: new Date().toISOString(),
    },
  };
}
