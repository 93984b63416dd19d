import type { Verifiers } from '../crypto.ts';
import { equalBytes, toHex, utf8 } from '../encoding.ts';
import type { LogLink } from './bundle.ts';
import { digestOfCid } from './cid.ts';
import { parseCanonicalJson } from './document.ts';
import { parseEnvelope } from './dsse.ts';
import type { ReceiptKey } from './key-entry.ts';
import { exact, optional, text, time } from './shape.ts';
import { statement, statementShape } from './statement.ts';
import { demand, within } from './verdict.ts';
import { demandLeaf, holdsSignature } from './verify-signed.ts';

/**
 * What the entry `erasure/<execution>/1` says: an operator removed the receipt of an execution with everything that
 * belongs to it. The entry of the receipt itself stays in the log, as the hash that it is.
 */
const ERASURE_PREDICATE = 'urn:beacon:erasure:v1';

export interface Erasure {
  execution_id: string;
  job_id?: string;
  /** Of the receipt that is gone. */
  receipt_cid: string;
  reason: string;
  erased_at: string;
}

const erasureShape = exact<Erasure>({
  execution_id: text,
  job_id: optional(text),
  receipt_cid: text,
  reason: text,
  erased_at: time,
});

/** The bytes that are signed; their subject is the hash of the receipt. */
export function erasureStatement(erasure: Erasure): Uint8Array {
  return statement('receipt', digestOfCid(erasure.receipt_cid), ERASURE_PREDICATE, { ...erasure });
}

/** An erasure that was checked up to its leaf. */
export interface FoundErasure extends Erasure {
  /** Of the receipt, hex. */
  receiptSha256: string;
  keyId: string;
}

/** Checks that an erasure is whole: signed by a receipt key of the log and turned into the right leaf. */
export function verifyErasure(
  entry: Pick<LogLink, 'dsse' | 'leaf'>,
  keys: ReadonlyMap<string, ReceiptKey>,
  verifiers: Verifiers,
  where: string,
): FoundErasure {
  const envelope = within('dsse', where, () => parseEnvelope(utf8(entry.dsse)));
  const key = keys.get(envelope.keyId);
  demand(key !== undefined, 'dsse', where, `no entry for the receipt key ${JSON.stringify(envelope.keyId)}`);
  const envelopeKey = { type: 'p256', spki: key.spki } as const;
  demand(holdsSignature(envelope, envelopeKey, verifiers), 'dsse', where, 'the signature does not hold');
  const said = within('statement', where, () => parseErasure(envelope.payload));
  demandLeaf(entry, envelope, envelopeKey, verifiers, 'leaf', where);
  return { ...said, receiptSha256: toHex(digestOfCid(said.receipt_cid)), keyId: key.id };
}

function parseErasure(payload: Uint8Array): Erasure {
  const { predicateType, predicate } = statementShape.read(parseCanonicalJson(payload), '');
  if (predicateType !== ERASURE_PREDICATE) throw new TypeError('the entry is of no erasure');
  const said = erasureShape.read(predicate, 'predicate');
  if (!equalBytes(erasureStatement(said), payload)) throw new TypeError('the entry does not say one thing');
  return said;
}
