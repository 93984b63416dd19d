import * as crypto from 'node:crypto';
import { receiptKeyId } from '../../domain/receipt/statement.ts';
import { KeyError } from './error.ts';
import { createKey, readKey, type KeySource } from './key-file.ts';
import { nodeSha256 } from './node-verifiers.ts';
import { pemSigner, type Signer } from './signer.ts';

/** Signs receipts and summaries: ECDSA P-256, so that stock Sigstore tools take our bundles. Only workers hold it. */
export interface ReceiptKey extends Signer {
  /** First 16 hex digits of the SHA-256 of `spki`. */
  id: string;
}

/** Loads the key; creates the file when there is none and `create` allows it. Source: `BEACON_RECEIPT_KEY_PEM` or file. */
export async function loadReceiptKey(source: KeySource, { create = true } = {}): Promise<ReceiptKey> {
  const key = (await readKey(source)) ?? (create ? await createKey(source.file, newReceiptKey) : undefined);
  if (key === undefined)
    throw new KeyError('key_file_unreadable', `there is no receipt key at ${source.file}`);
  return receiptKey(key);
}

export function receiptKey(key: crypto.KeyObject): ReceiptKey {
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new KeyError('key_wrong_type', 'a receipt key is ECDSA P-256');
  }
  const signer = pemSigner(key);
  return { ...signer, id: receiptKeyId(signer.spki, nodeSha256) };
}

export function generateReceiptKey(): ReceiptKey {
  return receiptKey(newReceiptKey());
}

/** A fresh private key of the right kind. */
export function newReceiptKey(): crypto.KeyObject {
  return crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}
