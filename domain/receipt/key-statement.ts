import type { Sha256 } from '../crypto.ts';
import { equalBytes, fromBase64, toBase64, toHex, utf8 } from '../encoding.ts';
import { noteKeyHash, parseVkey, type NoteKey } from '../log/vkey.ts';
import { parseCanonicalJson } from './document.ts';
import { ReceiptError } from './error.ts';
import { count, exact, oneOf, optional, sha256Hex, text, type Shape } from './shape.ts';
import { receiptKeyId, statement, statementShape } from './statement.ts';

/**
 * What the entries `key/<id>/1` and `key/<id>/2` say: a receipt key or a log key starts, or has ended. An envelope has one
 * signature, also here, so that every entry is one that stock tools read: the key before signs the envelope, and the new
 * key's own signature stands inside as `possession`, over the same statement without it. The first receipt key of a log
 * signs its envelope itself.
 */
export const RECEIPT_KEY_PREDICATE = 'urn:beacon:receipt-key:v1';
export const LOG_KEY_PREDICATE = 'urn:beacon:log-key:v1';

/** The last known checkpoint of a log that was closed, as the first entry of the log after it names it. */
export interface ContinuedLog {
  origin: string;
  size: number;
  /** Hex. */
  root: string;
  /** The signed note, when it is known. */
  checkpoint?: string;
}

export type KeyStatement =
  | {
      kind: 'receipt-key-start';
      keyId: string;
      spki: Uint8Array;
      /** Absent for the first key of a log. */
      previous?: string;
      possession?: Uint8Array;
      /** Only the first key of a log that follows another. */
      continues?: ContinuedLog;
    }
  | { kind: 'receipt-key-end'; keyId: string; spki: Uint8Array }
  | { kind: 'log-key-start'; keyId: string; vkey: string; previous: string; possession?: Uint8Array }
  | { kind: 'log-key-end'; keyId: string; vkey: string };

interface Predicate {
  action: 'start' | 'end';
  key_id: string;
  /** DER SubjectPublicKeyInfo in base64, of a receipt key. */
  spki?: string;
  /** C2SP verifier key, of a log key. */
  vkey?: string;
  /** The id of the key that signs the envelope. */
  previous?: string;
  possession?: string;
  continues?: ContinuedLog;
}

const predicateShape: Shape<Predicate> = exact<Predicate>({
  action: oneOf('start', 'end'),
  key_id: text,
  spki: optional(text),
  vkey: optional(text),
  previous: optional(text),
  possession: optional(text),
  continues: optional(
    exact<ContinuedLog>({ origin: text, size: count, root: sha256Hex, checkpoint: optional(text) }),
  ),
});

/** The bytes that are signed. */
export function keyStatement(said: KeyStatement, sha256: Sha256): Uint8Array {
  const predicate: Predicate = {
    action: said.kind.endsWith('-start') ? 'start' : 'end',
    key_id: said.keyId,
    ...('spki' in said ? { spki: toBase64(said.spki) } : { vkey: said.vkey }),
    ...('previous' in said ? { previous: said.previous } : {}),
    ...('possession' in said ? { possession: toBase64(said.possession) } : {}),
    ...('continues' in said ? { continues: said.continues } : {}),
  };
  return 'spki' in said
    ? statement('receipt-key', sha256(said.spki), RECEIPT_KEY_PREDICATE, { ...predicate })
    : statement('log-key', sha256(utf8(said.vkey)), LOG_KEY_PREDICATE, { ...predicate });
}

/** What the new key signs to show that it is there: the statement of its start without that signature. */
export function possessedStatement(
  start: Extract<KeyStatement, { kind: `${string}-start` }>,
  sha256: Sha256,
): Uint8Array {
  const { possession: _possession, ...rest } = start;
  return keyStatement(rest, sha256);
}

/** Reads a key statement; throws unless it is, byte for byte, the one that `keyStatement` writes for what it says. */
export function parseKeyStatement(payload: Uint8Array, sha256: Sha256): KeyStatement {
  const { predicateType, predicate } = statementShape.read(parseCanonicalJson(payload), '');
  const read = predicateShape.read(predicate, 'predicate');
  const said =
    predicateType === RECEIPT_KEY_PREDICATE
      ? receiptKeySaid(read, sha256)
      : predicateType === LOG_KEY_PREDICATE
        ? logKeySaid(read, sha256)
        : undefined;
  if (said === undefined) throw malformed('the entry is not of a key');
  if (said.keyId !== read.key_id || !equalBytes(keyStatement(said, sha256), payload)) {
    throw malformed('the entry does not state its own key');
  }
  return said;
}

function receiptKeySaid(predicate: Predicate, sha256: Sha256): KeyStatement {
  const spki = bytesOf(predicate.spki);
  if (spki === undefined) throw malformed('the key is not base64');
  const keyId = receiptKeyId(spki, sha256);
  if (predicate.action === 'end') return { kind: 'receipt-key-end', keyId, spki };
  const { previous, continues } = predicate;
  return {
    kind: 'receipt-key-start',
    keyId,
    spki,
    ...(previous === undefined ? {} : { previous }),
    ...possessionOf(predicate),
    ...(continues === undefined ? {} : { continues }),
  };
}

function logKeySaid(predicate: Predicate, sha256: Sha256): KeyStatement {
  const vkey = predicate.vkey ?? '';
  const keyId = logKeyId(parseVkey(vkey, sha256), sha256);
  if (predicate.action === 'end') return { kind: 'log-key-end', keyId, vkey };
  if (predicate.previous === undefined) throw malformed('a log key starts with the key before it');
  return { kind: 'log-key-start', keyId, vkey, previous: predicate.previous, ...possessionOf(predicate) };
}

function possessionOf({ possession }: Predicate): { possession?: Uint8Array } {
  if (possession === undefined) return {};
  const bytes = bytesOf(possession);
  if (bytes === undefined) throw malformed('the signature of the new key is not base64');
  return { possession: bytes };
}

function bytesOf(base64: string | undefined): Uint8Array | undefined {
  return base64 === undefined ? undefined : fromBase64(base64);
}

/** The id of a log key in entries: the first 16 hex digits of the hash whose first eight are its id in notes. */
export function logKeyId({ name, publicKey }: NoteKey, sha256: Sha256): string {
  return toHex(noteKeyHash(name, publicKey, sha256).subarray(0, 8));
}

function malformed(reason: string): ReceiptError {
  return new ReceiptError('document_malformed', reason);
}
