import { cidOfDigest } from '../../domain/receipt/cid.ts';
import { documentBytes } from '../../domain/receipt/document.ts';
import { formatEnvelope, preAuthEncoding, STATEMENT_PAYLOAD_TYPE } from '../../domain/receipt/dsse.ts';
import type { ExecutionReceipt } from '../../domain/receipt/execution-receipt.ts';
import type { JobSummary } from '../../domain/receipt/job-summary.ts';
import { leafOf } from '../../domain/receipt/leaf.ts';
import { keyStatement, receiptStatement, summaryStatement } from '../../domain/receipt/statement.ts';
import type { SignedDocument } from '../../store/attest.ts';
import { nodeSha256 } from '../keys/node-verifiers.ts';
import type { ReceiptKey } from '../keys/receipt-key.ts';
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

/** The entry with which a receipt key begins, signed by itself. */
export function buildKeyEntry(key: ReceiptKey): Promise<SignedStatement> {
  return signStatement(keyStatement(key.spki, nodeSha256), key);
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

async function signStatement(payload: Uint8Array, key: ReceiptKey): Promise<SignedStatement> {
  const signature = await key.sign(preAuthEncoding(STATEMENT_PAYLOAD_TYPE, payload));
  const envelope = { payloadType: STATEMENT_PAYLOAD_TYPE, payload, keyId: key.id, signature };
  const dsse = formatEnvelope(envelope);
  const dsseDigest = nodeSha256(dsse);
  return {
    dsse,
    dsseDigest,
    dsseCid: cidOfDigest(dsseDigest),
    leaf: leafOf(envelope, key.spki, nodeSha256),
    keyId: key.id,
  };
}
