import { fromHex } from './encoding.ts';

/** DER of an uncompressed P-256 key up to the point: SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING }. */
const P256_SPKI_PREFIX = fromHex('3059301306072a8648ce3d020106082a8648ce3d030107034200')!;
const P256_SPKI_BYTES = P256_SPKI_PREFIX.length + 65;

/** The 65-byte point of a P-256 SubjectPublicKeyInfo, or undefined when it is any other key. */
export function p256Point(spki: Uint8Array): Uint8Array | undefined {
  if (spki.length !== P256_SPKI_BYTES || !P256_SPKI_PREFIX.every((byte, i) => byte === spki[i]))
    return undefined;
  return spki.subarray(P256_SPKI_PREFIX.length);
}
