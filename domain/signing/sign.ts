import { toBase64, utf8 } from '../encoding.ts';
import { isJsonObject, toPlain, type PlainObject } from '../json/node.ts';
import { parseStrictJson } from '../json/parse.ts';
import { canonicalText } from './canonical.ts';
import { SigningError } from './error.ts';

export interface SpecSigner {
  /** 32 raw bytes. */
  publicKey: Uint8Array;
  /** Ed25519 over `message`: 64 bytes. */
  sign(message: Uint8Array): Uint8Array;
}

/**
 * `spec` with `signature` and `public_key` (earlier ones are replaced). Signed is RFC 8785 over everything but these
 * two, so over `id` and `created_at` too: form V0-jcs, reported under an earlier name where the bytes are the same.
 * Without an `id` in the spec nothing binds the signature to one: give it an id. Throws JsonError for what the server
 * would refuse as JSON.
 */
export function signSpec(spec: object, signer: SpecSigner): PlainObject {
  const node = parseStrictJson(utf8(JSON.stringify(spec)));
  if (!isJsonObject(node))
    throw new SigningError('canonicalization_error', 'a job spec must be a JSON object');
  const signed = toPlain(node);
  signed.signature = toBase64(signer.sign(utf8(canonicalText('V0-jcs', node)!)));
  signed.public_key = toBase64(signer.publicKey);
  return signed;
}
