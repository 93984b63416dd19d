import { randomBytes } from 'node:crypto';
import { toHex, utf8 } from '../../domain/encoding.ts';
import { isKeyName } from '../../domain/log/vkey.ts';
import { readReceiptKeys, startReceiptKey } from '../../store/log-keys.ts';
import { createLog, findLog, type LogHead } from '../../store/log-state.ts';
import type { Pool } from '../../store/pool.ts';
import { KeyError } from '../keys/error.ts';
import { nodeSha256 } from '../keys/node-verifiers.ts';
import { readKey, type KeySource } from '../keys/key-file.ts';
import { loadReceiptKey, type ReceiptKey } from '../keys/receipt-key.ts';
import { buildKeyEntry } from '../receipt/build.ts';
import { LogServiceError } from './error.ts';

/**
 * The log of this database, made at first use. Its origin is fixed for its life: made once unless `origin` (the setting
 * `LOG_ORIGIN`) names one, and later only compared. Any process may call this; all get the same log.
 */
export async function openLog(
  pool: Pool,
  { origin }: { origin?: string | undefined } = {},
): Promise<LogHead> {
  if (origin !== undefined && !isKeyName(origin)) {
    throw new LogServiceError(
      'origin_invalid',
      `LOG_ORIGIN ${JSON.stringify(origin)} has white space or a plus`,
    );
  }
  const log = (await findLog(pool)) ?? (await createLog(pool, newLog(origin ?? defaultOrigin())));
  if (origin !== undefined && log.origin !== origin) {
    throw new LogServiceError(
      'origin_fixed',
      `the log's origin is ${log.origin} for its life; LOG_ORIGIN asks for ${origin}`,
    );
  }
  return log;
}

/** Log ids are derived, so that two logs of one origin cannot stand side by side. */
function logIdOf(origin: string): string {
  return toHex(nodeSha256(utf8(origin)).subarray(0, 8));
}

function newLog(origin: string) {
  return { logId: logIdOf(origin), origin, root: nodeSha256(new Uint8Array()) };
}

function defaultOrigin(): string {
  return `beacon.local/${randomBytes(6).toString('hex')}`;
}

/**
 * Makes sure that the log knows this worker's receipt key: the first one becomes entry 0. A worker with another key is
 * refused, since nobody could check its receipts; changing the key of a log is not built yet.
 */
export async function registerReceiptKey(pool: Pool, logId: string, key: ReceiptKey): Promise<void> {
  const { dsse, dsseDigest, dsseCid, leaf } = await buildKeyEntry(key);
  const start = { keyId: key.id, spki: key.spki, dsse, dsseDigest, dsseCid, leaf };
  const known = await startReceiptKey(pool, logId, start);
  if (known !== key.id) {
    throw new KeyError(
      'receipt_key_not_in_log',
      `the log's receipt key is ${known}; this worker holds ${key.id}: ${REMEDY}`,
    );
  }
}

const REMEDY =
  'put the file back from a backup; without it this log cannot go on (docs/runbook.md, A receipt key is lost)';

/** The receipt key of this log. Only a log that has none yet gets a new one: nobody could check what another signs. */
export async function openReceiptKey(pool: Pool, logId: string, source: KeySource): Promise<ReceiptKey> {
  const [known] = await readReceiptKeys(pool, logId);
  if (known !== undefined && (await readKey(source)) === undefined) {
    throw new KeyError(
      'key_missing_for_log',
      `the log's receipt key ${known} is not at ${source.file}: ${REMEDY}`,
    );
  }
  const key = await loadReceiptKey(source, { create: known === undefined });
  await registerReceiptKey(pool, logId, key);
  return key;
}
