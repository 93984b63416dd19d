import { fromUtf8 } from '../../domain/encoding.ts';
import type { LogLink } from '../../domain/receipt/bundle.ts';
import type { ListedKeyEntry } from '../../domain/receipt/verify-retirement.ts';
import { readKeyEntries, readKeys, type KeyState, type LoggedKeyEntry } from '../../store/log-keys.ts';
import { readCheckpointUpTo } from '../../store/log-tiles.ts';
import type { Pool } from '../../store/pool.ts';
import { LogServiceError } from './error.ts';
import type { LogReader } from './reader.ts';
import { signsAt } from './signers.ts';

export interface ListedLogKey {
  vkey: string;
  /** Whether the checkpoint of this size is signed by it. */
  signs: boolean;
  /** Its start, under the last checkpoint that the key before it signed; null for the first. */
  start: LogLink | null;
}

export interface ListedKeys {
  size: number;
  logKeys: ListedLogKey[];
  /** Everything that the first `size` entries say of receipt keys, with proofs in the tree of that size. */
  receiptKeys: (ListedKeyEntry & { keyId: string; action: 'start' | 'end' })[];
}

/** The keys of a log among its first `size` entries. */
export async function listKeys(pool: Pool, reader: LogReader, size: number): Promise<ListedKeys> {
  const { logId } = reader;
  const [keys, entries] = await Promise.all([
    readKeys(pool, logId),
    size === 0 ? [] : readKeyEntries(pool, logId, size),
  ]);
  const receipts = entries.filter(({ purpose }) => purpose === 'receipt');
  const proofs = await reader.inclusionProofs(
    receipts.map(({ index }) => index),
    size,
  );
  const logKeys: ListedLogKey[] = [];
  for (const key of keys) {
    if (key.vkey === null || (key.hasStart && (key.startIndex === null || key.startIndex >= size))) continue;
    const start = key.hasStart ? await proveStart(pool, reader, key, keys, entries) : null;
    logKeys.push({ vkey: key.vkey, signs: signsAt(key, size), start });
  }
  return {
    size,
    logKeys,
    receiptKeys: receipts.map(({ keyId, version, index, dsse, leaf }, i) => ({
      keyId,
      action: version === 1 ? ('start' as const) : ('end' as const),
      index,
      hashes: proofs[i]!,
      dsse: text(dsse),
      leaf: text(leaf),
    })),
  };
}

/** Proves the start of a log key to a client that knows only the key before it, also after that one was retired. */
async function proveStart(
  pool: Pool,
  reader: LogReader,
  key: KeyState,
  keys: readonly KeyState[],
  entries: readonly LoggedKeyEntry[],
): Promise<LogLink> {
  const { dsse, leaf, index } = entries.find((one) => one.keyId === key.keyId && one.version === 1)!;
  const signer = keys.find(({ keyId }) => keyId === key.signer);
  const last = signer?.endIndex ?? Number.MAX_SAFE_INTEGER;
  const checkpoint = await readCheckpointUpTo(pool, reader.logId, last);
  if (checkpoint === undefined)
    throw new LogServiceError('no_checkpoint', `no checkpoint signed by ${key.signer} is kept`);
  const [proof] = await reader.prove([index], checkpoint);
  return { dsse: text(dsse), leaf: text(leaf), tlog_proof: proof!.tlogProof };
}

function text(bytes: Uint8Array): string {
  const decoded = fromUtf8(bytes);
  if (decoded === undefined) throw new LogServiceError('log_inconsistent', 'a key entry is not UTF-8');
  return decoded;
}
