import { fromUtf8, utf8 } from '../encoding.ts';
import { canonicalJson } from '../json/jcs.ts';
import { LIMITS } from '../limits.ts';
import { ReceiptError } from './error.ts';
import type { Shape } from './shape.ts';

/** Signed documents are canonical JSON (RFC 8785), one block each: the same value has one byte form and one CID. */
export function documentBytes(value: object): Uint8Array {
  const bytes = utf8(canonicalJson(value));
  if (bytes.length > LIMITS.receiptBytes) {
    throw new ReceiptError('document_too_large', `${bytes.length} bytes are more than one block holds`);
  }
  return bytes;
}

export function readDocument<T>(bytes: Uint8Array, shape: Shape<T>): T {
  return shape.read(parseCanonicalJson(bytes), '');
}

/** Parses JSON that is in canonical form already; so duplicate keys and second spellings cannot pass. */
export function parseCanonicalJson(bytes: Uint8Array): unknown {
  if (bytes.length > LIMITS.receiptBytes) {
    throw new ReceiptError('document_too_large', `${bytes.length} bytes are more than one block holds`);
  }
  const text = fromUtf8(bytes);
  if (text === undefined) throw new ReceiptError('document_malformed', 'not UTF-8');
  let value: unknown;
  let canonical: string;
  try {
    value = JSON.parse(text);
    canonical = canonicalJson(value);
  } catch {
    throw new ReceiptError('document_malformed', 'not JSON');
  }
  if (canonical !== text)
    throw new ReceiptError('document_not_canonical', 'not in canonical form (RFC 8785)');
  return value;
}
