import * as crypto from 'node:crypto';
import type { NoteSigner } from '../../domain/log/note.ts';
import { noteKey } from '../../domain/log/vkey.ts';
import { KeyError } from './error.ts';
import { createKey, readKey, type KeySource } from './key-file.ts';
import { nodeSha256 } from './node-verifiers.ts';
import { pemSigner, type Signer } from './signer.ts';

const ED25519_BYTES = 32;

/** Signs checkpoints: Ed25519. Only the sequencer holds it. Its name is the log's origin, so it is made per log. */
export interface LogKey extends Signer {
  /** 32 raw bytes. */
  publicKey: Uint8Array;
  signerFor: (origin: string) => NoteSigner;
}

/**
 * Loads the key (`BEACON_LOG_KEY_PEM` or file). A new one is made only for a log that never had one: a log whose key
 * is lost is closed, because a second key would make its history worthless.
 */
export async function loadLogKey(source: KeySource, { logIsNew }: { logIsNew: boolean }): Promise<LogKey> {
  const key = await readKey(source);
  if (key !== undefined) return logKey(key);
  if (logIsNew) return logKey(await createKey(source.file, newLogKey));
  throw new KeyError(
    'key_missing_for_log',
    `the log's key is not at ${source.file}: put the file back from a backup; without it this log cannot go on (docs/runbook.md, A log key is lost)`,
  );
}

export function logKey(key: crypto.KeyObject): LogKey {
  if (key.asymmetricKeyType !== 'ed25519') throw new KeyError('key_wrong_type', 'a log key is Ed25519');
  const signer = pemSigner(key);
  const { spki, sign } = signer;
  const publicKey = spki.slice(-ED25519_BYTES);
  return {
    ...signer,
    publicKey,
    signerFor: (origin) => ({ ...noteKey(origin, publicKey, nodeSha256), sign }),
  };
}

export function generateLogKey(): LogKey {
  return logKey(newLogKey());
}

/** A fresh private key of the right kind. */
export function newLogKey(): crypto.KeyObject {
  return crypto.generateKeyPairSync('ed25519').privateKey;
}
