import type { Verifiers } from '../crypto.ts';
import { equalBytes, fromBase64, toHex, utf8 } from '../encoding.ts';
import type { LogLink } from './bundle.ts';
import { parseCanonicalJson } from './document.ts';
import { parseEnvelope, preAuthEncoding, STATEMENT_PAYLOAD_TYPE, type Envelope } from './dsse.ts';
import { leafOf } from './leaf.ts';
import { KEY_PREDICATE, keyPredicateShape, keyStatement, receiptKeyId, statementShape } from './statement.ts';
import { demand, within, type Link, type Trust } from './verdict.ts';

/** A receipt key as its own start entry states it; that the entry stands in the log is checked with the proofs. */
export interface ReceiptKey {
  id: string;
  spki: Uint8Array;
}

/** Checks that a key entry is whole: signed by the key that it names, and turned into the right leaf. */
export function verifyKeyEntry(
  entry: LogLink,
  trust: Trust,
  verifiers: Verifiers,
  where: string,
): ReceiptKey {
  return within('key', where, () => {
    const envelope = parseEnvelope(utf8(entry.dsse));
    const { predicateType, predicate } = statementShape.read(parseCanonicalJson(envelope.payload), '');
    demand(predicateType === KEY_PREDICATE, 'key', where, 'the entry is no start of a receipt key');
    const spki = fromBase64(keyPredicateShape.read(predicate, 'predicate').spki);
    demand(spki !== undefined, 'key', where, 'the key is not base64');
    const same = equalBytes(keyStatement(spki, verifiers.sha256), envelope.payload);
    demand(same, 'key', where, 'the entry does not state its own key');
    const id = receiptKeyId(spki, verifiers.sha256);
    const signed = envelope.keyId === id && holdsSignature(envelope, spki, verifiers);
    demand(signed, 'key', where, 'the entry is not signed by the key that it starts');
    demandLeaf(entry, envelope, spki, verifiers, 'key', where);
    const pinned = trust.receiptKeyIds?.includes(id) ?? true;
    demand(pinned, 'key', where, `receipt key ${id} is not one of those trusted`);
    return { id, spki };
  });
}

/** A document and what its envelope must say of it. */
export interface ClaimedDocument {
  /** The exact bytes of receipt or summary. */
  bytes: Uint8Array;
  kind: 'receipt' | 'summary';
  /** The statement that must have been signed, given the digest of the bytes. */
  statement: (digest: Uint8Array) => Uint8Array;
}

/** Checks envelope, statement and leaf of a document; answers the digest of its bytes. */
export function verifySigned(
  document: ClaimedDocument,
  entry: LogLink,
  keys: ReadonlyMap<string, ReceiptKey>,
  verifiers: Verifiers,
  where: string,
): Uint8Array {
  const envelope = within('dsse', where, () => parseEnvelope(utf8(entry.dsse)));
  const key = keys.get(envelope.keyId);
  demand(key !== undefined, 'dsse', where, `no entry for the receipt key ${JSON.stringify(envelope.keyId)}`);
  const signed = holdsSignature(envelope, key.spki, verifiers);
  demand(signed, 'dsse', where, 'the signature does not hold');

  const digest = verifiers.sha256(document.bytes);
  const said = within('statement', where, () =>
    statementShape.read(parseCanonicalJson(envelope.payload), ''),
  );
  demand(
    said.subject.length === 1 && said.subject[0]?.digest.sha256 === toHex(digest),
    document.kind,
    where,
    `the ${document.kind} is not the one that was signed`,
  );
  const same = equalBytes(document.statement(digest), envelope.payload);
  demand(same, 'statement', where, `the statement does not say what the ${document.kind} says`);

  demandLeaf(entry, envelope, key.spki, verifiers, 'leaf', where);
  return digest;
}

function holdsSignature(envelope: Envelope, spki: Uint8Array, verifiers: Verifiers): boolean {
  if (envelope.payloadType !== STATEMENT_PAYLOAD_TYPE) return false;
  const message = preAuthEncoding(envelope.payloadType, envelope.payload);
  return verifiers.verifyP256(spki, message, envelope.signature);
}

function demandLeaf(
  entry: LogLink,
  envelope: Envelope,
  spki: Uint8Array,
  { sha256 }: Verifiers,
  link: Link,
  where: string,
): void {
  const same = equalBytes(leafOf(envelope, spki, sha256), utf8(entry.leaf));
  demand(same, link, where, 'the log entry is not that of the envelope');
}
