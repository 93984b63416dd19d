import type { Verifiers } from '../crypto.ts';
import { equalBytes, toHex, utf8 } from '../encoding.ts';
import type { LogLink } from './bundle.ts';
import { parseCanonicalJson } from './document.ts';
import { parseEnvelope, preAuthEncoding, STATEMENT_PAYLOAD_TYPE, type Envelope } from './dsse.ts';
import type { ReceiptKey } from './key-entry.ts';
import { leafOf, type EnvelopeKey } from './leaf.ts';
import { statementShape } from './statement.ts';
import { demand, within, type Link } from './verdict.ts';

/** At the end of a SubjectPublicKeyInfo. */
const ED25519_BYTES = 32;

/** A document and what its envelope must say of it. */
export interface ClaimedDocument {
  /** The exact bytes of receipt or summary. */
  bytes: Uint8Array;
  kind: 'receipt' | 'summary';
  /** The statement that must have been signed, given the digest of the bytes. */
  statement: (digest: Uint8Array) => Uint8Array;
}

/** Checks envelope, statement and leaf of a document; answers the digest of its bytes and who signed. */
export function verifySigned(
  document: ClaimedDocument,
  entry: LogLink,
  keys: ReadonlyMap<string, ReceiptKey>,
  verifiers: Verifiers,
  where: string,
): { digest: Uint8Array; keyId: string } {
  const envelope = within('dsse', where, () => parseEnvelope(utf8(entry.dsse)));
  const key = keys.get(envelope.keyId);
  demand(key !== undefined, 'dsse', where, `no entry for the receipt key ${JSON.stringify(envelope.keyId)}`);
  const envelopeKey = { type: 'p256', spki: key.spki } as const;
  const signed = holdsSignature(envelope, envelopeKey, verifiers);
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

  demandLeaf(entry, envelope, envelopeKey, verifiers, 'leaf', where);
  return { digest, keyId: key.id };
}

export function holdsSignature(
  envelope: Envelope,
  { type, spki }: EnvelopeKey,
  verifiers: Verifiers,
): boolean {
  if (envelope.payloadType !== STATEMENT_PAYLOAD_TYPE) return false;
  const message = preAuthEncoding(envelope.payloadType, envelope.payload);
  return type === 'p256'
    ? verifiers.verifyP256(spki, message, envelope.signature)
    : verifiers.verifyEd25519(spki.slice(-ED25519_BYTES), message, envelope.signature);
}

export function demandLeaf(
  entry: Pick<LogLink, 'leaf'>,
  envelope: Envelope,
  key: EnvelopeKey,
  { sha256 }: Verifiers,
  link: Link,
  where: string,
): void {
  const same = equalBytes(leafOf(envelope, key, sha256), utf8(entry.leaf));
  demand(same, link, where, 'the log entry is not that of the envelope');
}
