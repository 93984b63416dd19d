import { cidOfDigest } from '../../domain/receipt/cid.ts';
import { documentBytes } from '../../domain/receipt/document.ts';
import { formatEnvelope, preAuthEncoding, STATEMENT_PAYLOAD_TYPE } from '../../domain/receipt/dsse.ts';
import { erasureStatement, type Erasure } from '../../domain/receipt/erasure.ts';
import type { ExecutionReceipt } from '../../domain/receipt/execution-receipt.ts';
import type { JobSummary } from '../../domain/receipt/job-summary.ts';
import { leafOf } from '../../domain/receipt/leaf.ts';
import { formatVkey, parseVkey } from '../../domain/log/vkey.ts';
import {
  keyStatement,
  logKeyId,
  possessedStatement,
  type ContinuedLog,
  type KeyStatement,
} from '../../domain/receipt/key-statement.ts';
import { receiptStatement, summaryStatement } from '../../domain/receipt/statement.ts';
import type { SignedDocument } from '../../store/attest.ts';
import { nodeSha256 } from '../keys/node-verifiers.ts';
import type { LogKey } from '../keys/log-key.ts';
import type { ReceiptKey } from '../keys/receipt-key.ts';
import type { Signer } from '../keys/signer.ts';
import { fitReceipt } from './fit.ts';

/** A statement signed and turned into a log entry; the envelope is a block of its own. */
export type SignedStatement = Omit<SignedDocument, 'bytes' | 'cid' | 'digest'>;

/** Signs a receipt; one that is too large for a block loses evidence whose hash stays (see `fitReceipt`). */
export async function buildReceipt(receipt: ExecutionReceipt, key: ReceiptKey): Promise<SignedDocument> {
  const fitted = fitReceipt(receipt);
  return signDocument(fitted, (digest) => receiptStatement(fitted, digest), key);
}

export async function buildJobSummary(summary: JobSummary, key: ReceiptKey): Promise<SignedDocument> {
  return signDocument(summary, (digest) => summaryStatement(summary, digest), key);
}

/** The entry with which the first receipt key of a log begins, signed by itself. */
export function buildFirstKeyStart(key: ReceiptKey, continues?: ContinuedLog): Promise<SignedStatement> {
  const start: KeyStatement = {
    kind: 'receipt-key-start',
    keyId: key.id,
    spki: key.spki,
    ...(continues === undefined ? {} : { continues }),
  };
  return signStatement(keyStatement(start, nodeSha256), key);
}

/** The entry with which a later receipt key begins: signed by itself, and all of it by the key before. */
export async function buildKeyStart(key: ReceiptKey, previous: ReceiptKey): Promise<SignedStatement> {
  const start = {
    kind: 'receipt-key-start',
    keyId: key.id,
    spki: key.spki,
    previous: previous.id,
  } as const;
  const possessed = preAuthEncoding(STATEMENT_PAYLOAD_TYPE, possessedStatement(start, nodeSha256));
  const possession = await key.sign(possessed);
  return signStatement(keyStatement({ ...start, possession }, nodeSha256), previous);
}

/** The entry after which nothing of a receipt key is logged any more: signed by it, or by one that started later. */
export function buildKeyEnd(
  { id: keyId, spki }: Pick<ReceiptKey, 'id' | 'spki'>,
  signer: ReceiptKey,
): Promise<SignedStatement> {
  return signStatement(keyStatement({ kind: 'receipt-key-end', keyId, spki }, nodeSha256), signer);
}

/** The entry `erasure/<execution>/1`. */
export function buildErasure(erasure: Erasure, key: ReceiptKey): Promise<SignedStatement> {
  return signStatement(erasureStatement(erasure), key);
}

async function signDocument(
  document: object,
  statement: (digest: Uint8Array) => Uint8Array,
  key: ReceiptKey,
): Promise<SignedDocument> {
  const bytes = documentBytes(document);
  const digest = nodeSha256(bytes);
  const signed = await signStatement(statement(digest), key);
  return { bytes, digest, cid: cidOfDigest(digest), ...signed };
}

/** The entry with which a later log key begins: signed by itself, and all of it by the key before. */
export async function buildLogKeyStart(
  next: LogKey,
  previous: LogKey,
  origin: string,
): Promise<SignedStatement> {
  const signer = logStatementKey(previous, origin);
  const { id: keyId, vkey } = logStatementKey(next, origin);
  const start = { kind: 'log-key-start', keyId, vkey, previous: signer.id } as const;
  const possessed = preAuthEncoding(STATEMENT_PAYLOAD_TYPE, possessedStatement(start, nodeSha256));
  const possession = await next.sign(possessed);
  return signStatement(keyStatement({ ...start, possession }, nodeSha256), signer);
}

/** The entry from which on a log key signs no checkpoint any more, signed by one that stays. */
export function buildLogKeyEnd(vkey: string, signer: LogKey, origin: string): Promise<SignedStatement> {
  const keyId = logKeyId(parseVkey(vkey, nodeSha256), nodeSha256);
  const end = { kind: 'log-key-end', keyId, vkey } as const;
  return signStatement(keyStatement(end, nodeSha256), logStatementKey(signer, origin));
}

interface StatementKey extends Signer {
  id: string;
  type?: 'ed25519';
}

function logStatementKey(key: LogKey, origin: string): StatementKey & { vkey: string } {
  const note = key.signerFor(origin);
  const { spki, sign } = key;
  return { id: logKeyId(note, nodeSha256), vkey: formatVkey(note), type: 'ed25519', spki, sign };
}

async function signStatement(payload: Uint8Array, key: StatementKey): Promise<SignedStatement> {
  const signature = await key.sign(preAuthEncoding(STATEMENT_PAYLOAD_TYPE, payload));
  const envelope = { payloadType: STATEMENT_PAYLOAD_TYPE, payload, keyId: key.id, signature };
  const dsse = formatEnvelope(envelope);
  const dsseDigest = nodeSha256(dsse);
  return {
    dsse,
    dsseDigest,
    dsseCid: cidOfDigest(dsseDigest),
    leaf: leafOf(envelope, { type: key.type ?? 'p256', spki: key.spki }, nodeSha256),
    keyId: key.id,
  };
}
