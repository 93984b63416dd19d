import { ed25519 } from '@noble/curves/ed25519.js';
import { p256 } from '@noble/curves/nist.js';
import { sha256 } from '@noble/hashes/sha2.js';
import type { Verifiers } from './crypto.ts';
import { fromHex } from './encoding.ts';

/** DER of an uncompressed P-256 key up to the point: SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING }. */
const P256_SPKI_PREFIX = fromHex('3059301306072a8648ce3d020106082a8648ce3d030107034200')!;
const P256_SPKI_BYTES = P256_SPKI_PREFIX.length + 65;

/** Pure JavaScript, runs in every browser and in Node. */
export const portableVerifiers: Verifiers = {
  sha256,
  verifyEd25519(publicKey, message, signature) {
    try {
      // Strict RFC 8032, as node:crypto does, so that browser and server agree on edge cases.
      return ed25519.verify(signature, message, publicKey, { zip215: false });
    } catch {
      return false;
    }
  },
  verifyP256(spki, message, derSignature) {
    const point = p256Point(spki);
    if (point === undefined) return false;
    try {
      // ECDSA signers outside Bitcoin do not normalise s; both halves are valid.
      return p256.verify(derSignature, message, point, { format: 'der', lowS: false });
    } catch {
      return false;
    }
  },
};

/** The 65-byte point of a P-256 SubjectPublicKeyInfo, or undefined when it is any other key. */
export function p256Point(spki: Uint8Array): Uint8Array | undefined {
  if (spki.length !== P256_SPKI_BYTES || !P256_SPKI_PREFIX.every((byte, i) => byte === spki[i]))
    return undefined;
  return spki.subarray(P256_SPKI_PREFIX.length);
}
