import type { Verifiers } from '../crypto.ts';
import { utf8 } from '../encoding.ts';
import type { LogLink } from './bundle.ts';
import { parseEnvelope, preAuthEncoding, STATEMENT_PAYLOAD_TYPE } from './dsse.ts';
import {
  parseKeyStatement,
  possessedStatement,
  type ContinuedLog,
  type KeyStatement,
} from './key-statement.ts';
import { demand, within } from './verdict.ts';
import { demandLeaf, holdsSignature } from './verify-signed.ts';

/** A receipt key as its own start entry states it; that the entry stands in the log is checked with the proofs. */
export interface ReceiptKey {
  id: string;
  spki: Uint8Array;
  /** Of the first key of a log that follows another one. */
  continues?: ContinuedLog;
}

type ReceiptKeyStart = Extract<KeyStatement, { kind: 'receipt-key-start' }>;

/**
 * Checks that the start of a receipt key is whole: signed by the key before it and by itself, for the log's first key by
 * itself alone, and turned into the right leaf.
 */
export function verifyKeyStart(
  entry: Pick<LogLink, 'dsse' | 'leaf'>,
  previous: ReceiptKey | undefined,
  verifiers: Verifiers,
  where: string,
): ReceiptKey {
  return within('key', where, () => {
    const envelope = parseEnvelope(utf8(entry.dsse));
    const said = parseKeyStatement(envelope.payload, verifiers.sha256);
    demand(said.kind === 'receipt-key-start', 'key', where, 'the entry is no start of a receipt key');
    const { keyId: id, spki } = said;
    const signer = previous ?? { id, spki };
    const signed =
      envelope.keyId === signer.id &&
      holdsSignature(envelope, { type: 'p256', spki: signer.spki }, verifiers);
    const who = previous === undefined ? 'the key that it starts' : `the key before it, ${previous.id}`;
    demand(signed, 'key', where, `the entry is not signed by ${who}`);
    demandPossession(said, previous, verifiers, where);
    demandLeaf(entry, envelope, { type: 'p256', spki: signer.spki }, verifiers, 'key', where);
    return { id, spki, ...(said.continues === undefined ? {} : { continues: said.continues }) };
  });
}

/** A later key names the one before and signs too; the first one has none before it, and signs the envelope itself. */
function demandPossession(
  said: ReceiptKeyStart,
  previous: ReceiptKey | undefined,
  verifiers: Verifiers,
  where: string,
): void {
  if (previous === undefined) {
    const first = said.previous === undefined && said.possession === undefined;
    demand(first, 'key', where, 'the key starts after another one, which is not here');
    return;
  }
  demand(said.previous === previous.id, 'key', where, `the key does not follow ${previous.id}`);
  demand(said.continues === undefined, 'key', where, 'only the first key of a log continues another log');
  const message = preAuthEncoding(STATEMENT_PAYLOAD_TYPE, possessedStatement(said, verifiers.sha256));
  const signed = said.possession !== undefined && verifiers.verifyP256(said.spki, message, said.possession);
  demand(signed, 'key', where, 'the key that starts has not signed');
}

/** Checks the end of a receipt key: signed by `signer`, that key itself or one that started later. Answers which ended. */
export function verifyKeyEnd(
  entry: Pick<LogLink, 'dsse' | 'leaf'>,
  keys: ReadonlyMap<string, ReceiptKey>,
  verifiers: Verifiers,
  where: string,
): { id: string; signer: string } {
  return within('key', where, () => {
    const envelope = parseEnvelope(utf8(entry.dsse));
    const said = parseKeyStatement(envelope.payload, verifiers.sha256);
    demand(said.kind === 'receipt-key-end', 'key', where, 'the entry is no end of a receipt key');
    const signer = keys.get(envelope.keyId);
    demand(keys.has(said.keyId) && signer !== undefined, 'key', where, 'an end of a key that never started');
    const key = { type: 'p256', spki: signer.spki } as const;
    demand(holdsSignature(envelope, key, verifiers), 'key', where, 'the signature does not hold');
    demandLeaf(entry, envelope, key, verifiers, 'key', where);
    return { id: said.keyId, signer: signer.id };
  });
}

/** The receipt keys of a log from its first one on, each vouched for by the one before. */
export function verifyKeyChain(
  entries: readonly (readonly [entry: LogLink, where: string])[],
  verifiers: Verifiers,
): Map<string, ReceiptKey> {
  const keys = new Map<string, ReceiptKey>();
  let previous: ReceiptKey | undefined;
  for (const [entry, where] of entries) {
    previous = verifyKeyStart(entry, previous, verifiers, where);
    demand(!keys.has(previous.id), 'key', where, 'the key starts twice');
    keys.set(previous.id, previous);
  }
  return keys;
}
