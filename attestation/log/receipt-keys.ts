import {
  addFirstReceiptKey,
  addKeyEntry,
  readKeys,
  type KeyState,
  type NewKeyEntry,
} from '../../store/log-keys.ts';
import type { Pool } from '../../store/pool.ts';
import { KeyError } from '../keys/error.ts';
import { readKey, type KeySource } from '../keys/key-file.ts';
import { loadReceiptKey, receiptKey, type ReceiptKey } from '../keys/receipt-key.ts';
import { buildFirstKeyStart, buildKeyEnd, buildKeyStart, type SignedStatement } from '../receipt/build.ts';

/**
 * The receipt keys of a log. The first is entry 0, signed by itself; a later one starts with an entry that the newest key
 * before it signs too. A key that has ended signs nothing any more: the database takes nothing of it from the moment on in
 * which its end entry is made, so that entry is the last of it.
 */
export async function registerFirstReceiptKey(pool: Pool, logId: string, key: ReceiptKey): Promise<void> {
  await addFirstReceiptKey(pool, logId, receiptKeyStart(key, await buildFirstKeyStart(key)));
  await requireLive(pool, logId, key.id);
}

/** The entry with which the first receipt key of a log starts. */
export const receiptKeyStart = (key: ReceiptKey, signed: SignedStatement): NewKeyEntry =>
  keyEntry(key.id, 1, key.spki, signed);

/** Makes `next` a receipt key of the log after `newest`; false when it is one already. Both sign the entry. */
export async function startReceiptKey(
  pool: Pool,
  logId: string,
  next: ReceiptKey,
  newest: ReceiptKey,
): Promise<boolean> {
  const start = keyEntry(next.id, 1, next.spki, await buildKeyStart(next, newest));
  return addKeyEntry(pool, logId, start, (keys) => {
    const last = receiptKeys(keys).at(-1);
    if (last?.keyId !== newest.id) return `the newest receipt key of the log is ${last?.keyId ?? 'none'}`;
    if (last.ending) return `the receipt key ${newest.id} has ended`;
    return last.startIndex === null ? `the receipt key ${newest.id} is still to start` : undefined;
  });
}

/** Ends the receipt key `ending`; false when it was ended before. `signer` is a key that started after it. */
export async function endReceiptKey(
  pool: Pool,
  logId: string,
  ending: Pick<ReceiptKey, 'id' | 'spki'>,
  signer: ReceiptKey,
): Promise<boolean> {
  const end = keyEntry(ending.id, 2, null, await buildKeyEnd(ending, signer));
  return addKeyEntry(pool, logId, end, (keys) => {
    const ids = receiptKeys(keys).map(({ keyId }) => keyId);
    const by = receiptKeys(keys).find(({ keyId }) => keyId === signer.id);
    if (!ids.includes(ending.id)) return `the log knows no receipt key ${ending.id}`;
    if (ids.at(-1) === ending.id)
      return `${ending.id} is the newest receipt key: start another one before it ends`;
    if (by === undefined || by.ending || by.startIndex === null)
      return `the receipt key ${signer.id} is not live`;
    return ids.indexOf(signer.id) < ids.indexOf(ending.id)
      ? `${signer.id} is older than ${ending.id}`
      : undefined;
  });
}

/**
 * The receipt key of this worker: one that lives in the log. Only a log that has none yet gets a new one, because nobody
 * could check what another signs.
 */
export async function openReceiptKey(pool: Pool, logId: string, source: KeySource): Promise<ReceiptKey> {
  const known = receiptKeys(await readKeys(pool, logId));
  const found = await readKey(source);
  if (known.length > 0 && found === undefined) {
    throw new KeyError(
      'key_missing_for_log',
      `the log's receipt key ${known.at(-1)!.keyId} is not at ${source.file}: ${REMEDY}`,
    );
  }
  const key = found === undefined ? await loadReceiptKey(source) : receiptKey(found);
  if (known.length === 0) await registerFirstReceiptKey(pool, logId, key);
  else await requireLive(pool, logId, key.id);
  return key;
}

/** Throws unless the log knows the key and has not ended it. */
export async function requireLive(pool: Pool, logId: string, keyId: string): Promise<void> {
  const known = receiptKeys(await readKeys(pool, logId));
  const newest = known.at(-1)?.keyId ?? 'none';
  const mine = known.find((key) => key.keyId === keyId);
  if (mine === undefined) {
    throw new KeyError(
      'receipt_key_not_in_log',
      `the log's receipt key is ${newest}; this worker holds ${keyId}: ${REMEDY}`,
    );
  }
  if (mine.ending) {
    throw new KeyError(
      'receipt_key_ended',
      `the receipt key ${keyId} has ended; give this worker ${newest} (docs/runbook.md, Another receipt key)`,
    );
  }
}

const REMEDY =
  'put the file back from a backup; without it this log cannot go on (docs/runbook.md, A receipt key is lost)';

export function receiptKeys(keys: readonly KeyState[]): KeyState[] {
  return keys.filter(({ purpose }) => purpose === 'receipt');
}

function keyEntry(
  keyId: string,
  version: 1 | 2,
  spki: Uint8Array | null,
  signed: SignedStatement,
): NewKeyEntry {
  const { dsse, dsseDigest, dsseCid, leaf, keyId: signer } = signed;
  return { keyId, version, purpose: 'receipt', signer, vkey: null, spki, dsse, dsseDigest, dsseCid, leaf };
}
