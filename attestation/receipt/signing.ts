import { stat } from 'node:fs/promises';
import { pause } from '../../domain/pause.ts';
import type { Log } from '../../observability/log.ts';
import type { Pool } from '../../store/pool.ts';
import type { KeySource } from '../keys/key-file.ts';
import type { ReceiptKey } from '../keys/receipt-key.ts';
import { openLog } from '../log/open.ts';
import { openReceiptKey } from '../log/receipt-keys.ts';
import { createDocumentSigner, type DocumentSigner } from './signer.ts';

/** With what a worker signs at this moment. */
export interface SigningNow {
  logId: string;
  /** Of the receipt key. */
  keyId: string;
  signer: DocumentSigner;
}

/**
 * The log and the receipt key of a worker. Both may change under it: a rotation puts another key into the file, and a log
 * that was closed is followed by another.
 */
export interface Signing {
  now(): SigningNow;
  /** The database took nothing of that key or log: looks for others. True when there are. */
  renew(): Promise<boolean>;
}

export function fixedSigning(logId: string, key: ReceiptKey): Signing {
  const now = { logId, keyId: key.id, signer: createDocumentSigner(key) };
  return { now: () => now, renew: () => Promise.resolve(false) };
}

/** How often the key file is looked at. It bounds nothing: a key that ended is refused by the database, and then renewed. */
const LOOK_EVERY_MS = 2_000;

export interface SigningOptions {
  pool: Pool;
  source: KeySource;
  /** The setting LOG_ORIGIN. */
  origin: string | undefined;
  log: Log;
}

/** Opens the log and the key, and follows the key file from then on. */
export async function startSigning(options: SigningOptions): Promise<Signing & AsyncDisposable> {
  const { pool, source, origin, log } = options;
  const open = async () => {
    const { logId } = await openLog(pool, { origin });
    const key = await openReceiptKey(pool, logId, source);
    return { logId, keyId: key.id, signer: createDocumentSigner(key) };
  };
  let current = await open();
  const stop = new AbortController();

  async function renew(): Promise<boolean> {
    const found = await open();
    if (found.logId === current.logId && found.keyId === current.keyId) return false;
    current = found;
    log.info(
      { log_id: found.logId, key_id: found.keyId },
      'receipts are signed with another key from now on',
    );
    return true;
  }

  async function follow(): Promise<void> {
    if (source.pem !== undefined && source.pem !== '') return;
    let seen = await markOf(source.file);
    for (;;) {
      await pause(LOOK_EVERY_MS, stop.signal);
      if (stop.signal.aborted) return;
      const mark = await markOf(source.file);
      if (mark === seen) continue;
      seen = mark;
      await renew().catch((error: unknown) => {
        log.error(
          { err: error, file: source.file },
          'the new receipt key cannot be used; going on with the old one',
        );
      });
    }
  }

  const following = follow();
  return {
    now: () => current,
    renew,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await following;
    },
  };
}

/** Changes when the file is replaced. */
async function markOf(file: string): Promise<string> {
  const found = await stat(file).catch(() => undefined);
  return found === undefined ? 'none' : `${found.ino} ${found.mtimeMs}`;
}
