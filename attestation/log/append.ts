import { toHex } from '../../domain/encoding.ts';
import { appendBatch } from '../../store/log-append.ts';
import { readKeys } from '../../store/log-keys.ts';
import {
  dropPending,
  readFirstKey,
  readPending,
  refusePending,
  type PendingEntry,
} from '../../store/log-pending.ts';
import { withTransaction, type Pool } from '../../store/pool.ts';
import { noFaults, type Faults } from './faults.ts';
import type { LoadedLog } from './load.ts';

/** Entries of one batch: bounds the transaction, not the rate. */
const BATCH_ENTRIES = 1_024;

export interface ReadOptions {
  /** Whether this sequencer can sign with a log key; one that starts waits until it can. Default: with any. */
  holds?: ((vkey: string) => boolean) | undefined;
  /** Pending ids up to this one are not looked at. Default 0. */
  after?: number | undefined;
}

export interface AppendOptions extends ReadOptions {
  faults?: Faults | undefined;
  /** What `readBatch` answers, when it was asked before: after the batch before this one was committed. */
  read?: Promise<ReadBatch> | undefined;
}

/** The next pending entries. Nobody else may append between the reading and the appending; who does moves the head. */
export interface ReadBatch {
  pending: readonly PendingEntry[];
  /** By pending id, log keys that start and that this sequencer does not hold. */
  missing: ReadonlyMap<number, string>;
}

/** A pending entry that will never stand in the log, and why. */
export interface RefusedEntry {
  entry: PendingEntry;
  reason: string;
}

export interface Appended {
  log: LoadedLog;
  /** 0 when nothing was pending. */
  entries: number;
  fresh: readonly PendingEntry[];
  /** The highest pending id of those. */
  lastId?: number;
  refused: readonly RefusedEntry[];
  /** Log keys that are to start, and that this sequencer does not hold. */
  missingKeys: readonly string[];
}

/**
 * Takes what is pending, extends the tree and commits all of it together: entries, full tiles, head and events. Throws
 * without any effect when somebody else moved the head. Nobody is shown any of it until `publishHead` signed it.
 */
export async function appendPending(
  pool: Pool,
  logId: string,
  log: LoadedLog,
  { holds, faults = noFaults, read = readBatch(pool, logId, log, { holds }) }: AppendOptions = {},
): Promise<Appended> {
  const { pending, missing } = await read;
  const { fresh, repeated, refused } = sortPending(pending, new Set(missing.keys()));
  if (repeated.length > 0) await dropPending(pool, repeated);
  for (const { entry, reason } of refused) await refusePending(pool, [entry.id], reason);
  const missingKeys = [...missing.values()];
  if (fresh.length === 0) return { log, entries: 0, fresh, refused, missingKeys };

  const frontier = log.frontier.fork();
  const before = { size: frontier.size, root: log.root };
  const tiles = fresh.flatMap(({ leafHash }) => frontier.append(leafHash));
  const { size } = frontier;
  const root = frontier.root();
  const rootText = toHex(root);
  const payload = {
    log_id: logId,
    tree_size: size,
    merkle_root: rootText,
    root: rootText,
    timestamp: new Date().toISOString(),
  };
  await faults('before_append');

  await withTransaction(pool, async (tx) => {
    await appendBatch(tx, { logId, before, after: { size, root }, pending: fresh, tiles, payload });
    await faults('before_commit');
  });
  await faults('after_commit');
  const keys = fresh.some(isKeyEntry) ? await readKeys(pool, logId) : log.keys;
  const [entries, lastId] = [fresh.length, fresh.at(-1)!.id];
  return { log: { frontier, root, keys }, entries, fresh, lastId, refused, missingKeys };
}

export async function readBatch(
  pool: Pool,
  logId: string,
  log: LoadedLog,
  { holds, after }: ReadOptions = {},
): Promise<ReadBatch> {
  const pending = await nextPending(pool, logId, log, after);
  return { pending, missing: await missingLogKeys(pool, logId, pending, holds) };
}

/** The first entry of a log is the start of a receipt key; everything else needs a key that has started. */
async function nextPending(
  pool: Pool,
  logId: string,
  log: LoadedLog,
  after?: number,
): Promise<PendingEntry[]> {
  if (log.frontier.size > 0) return readPending(pool, logId, BATCH_ENTRIES, after);
  const first = await readFirstKey(pool, logId);
  return first === undefined ? [] : [first];
}

const isKeyEntry = (entry: PendingEntry): boolean => entry.subjectKind === 'key';

/** By pending id, the log keys that start without that we could sign with them. */
async function missingLogKeys(
  pool: Pool,
  logId: string,
  pending: readonly PendingEntry[],
  holds: ReadOptions['holds'],
): Promise<Map<number, string>> {
  const starts = pending.filter((entry) => isKeyEntry(entry) && entry.version === 1);
  if (starts.length === 0 || holds === undefined) return new Map();
  const vkeys = new Map((await readKeys(pool, logId)).map(({ keyId, vkey }) => [keyId, vkey]));
  return new Map(
    starts.flatMap(({ id, subjectId }): [number, string][] => {
      const vkey = vkeys.get(subjectId) ?? null;
      return vkey === null || holds(vkey) ? [] : [[id, vkey]];
    }),
  );
}

/** What becomes of each pending entry, in the order in which they would stand in the log. */
function sortPending(
  pending: readonly PendingEntry[],
  waiting: ReadonlySet<number>,
): { fresh: PendingEntry[]; repeated: number[]; refused: RefusedEntry[] } {
  const fresh: PendingEntry[] = [];
  const repeated: number[] = [];
  const refused: RefusedEntry[] = [];
  const ended = new Set<string>();
  for (const entry of pending) {
    if (entry.repeated === true) repeated.push(entry.id);
    else if (entry.repeated === false) {
      refused.push({ entry, reason: 'its subject stands in the log with another leaf' });
    } else if (entry.keyEnded || ended.has(entry.keyId)) {
      refused.push({ entry, reason: `its key ${entry.keyId} has ended` });
    } else if (!waiting.has(entry.id)) {
      fresh.push(entry);
      if (isKeyEntry(entry) && entry.version === 2) ended.add(entry.subjectId);
    }
  }
  return { fresh, repeated, refused };
}
