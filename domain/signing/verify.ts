import type { Verifiers } from '../crypto.ts';
import { utf8 } from '../encoding.ts';
import { isJsonObject, type JsonNode, type JsonObject } from '../json/node.ts';
import { candidateTexts, type Form } from './canonical.ts';
import { SigningError } from './error.ts';
import { decodePublicKey, decodeSignature } from './public-key.ts';

export interface VerifiedSpec {
  /** The first form under which the signature holds. */
  form: Form;
  /** The bytes that were signed: the job's identity for replay is (public key, hash of these). */
  message: Uint8Array;
  /** Standard base64, as it stands in the spec. */
  publicKey: string;
}

/**
 * Checks the Ed25519 signature of a job spec on the tree of the bytes received, before any default is filled. At most
 * one verification per distinct canonical text (nine). Throws SigningError.
 */
export function verifySpec(node: JsonNode, verifyEd25519: Verifiers['verifyEd25519']): VerifiedSpec {
  if (!isJsonObject(node))
    throw new SigningError('canonicalization_error', 'a job spec must be a JSON object');
  const signatureText = requireText(node, 'signature');
  const publicKey = requireText(node, 'public_key');
  const keyBytes = decodePublicKey(publicKey);
  const signature = decodeSignature(signatureText);
  for (const { form, text } of candidateTexts(node)) {
    const message = utf8(text);
    if (verifyEd25519(keyBytes, message, signature)) return { form, message, publicKey };
  }
  throw new SigningError('signature_mismatch', 'signature verification failed');
}

function requireText(spec: JsonObject, field: 'signature' | 'public_key'): string {
  const value = spec.get(field);
  if (typeof value === 'string' && value !== '') return value;
  throw new SigningError(`missing_field:${field}`, `${field} is required`, { field });
}
