import type { Sha256 } from '../crypto.ts';
import { toBase64, utf8 } from '../encoding.ts';
import { canonicalJson } from '../json/jcs.ts';
import { preAuthEncoding, type Envelope } from './dsse.ts';

/** The public half of what signed an envelope. */
export interface EnvelopeKey {
  /** A receipt key; or a log key, which only signs entries about log keys. */
  type: 'p256' | 'ed25519';
  /** DER SubjectPublicKeyInfo. */
  spki: Uint8Array;
}

const KEY_DETAILS = { p256: 'PKIX_ECDSA_P256_SHA_256', ed25519: 'PKIX_ED25519' } as const;

/**
 * The entry that stands in the log for an envelope: the body of a Rekor v2 `hashedrekord` 0.0.2 over the envelope's
 * pre-authentication encoding, so that stock Sigstore tools check our log. A pure function of envelope and key.
 */
export function leafOf(envelope: Envelope, { type, spki }: EnvelopeKey, sha256: Sha256): Uint8Array {
  const digest = sha256(preAuthEncoding(envelope.payloadType, envelope.payload));
  return utf8(
    canonicalJson({
      apiVersion: '0.0.2',
      kind: 'hashedrekord',
      spec: {
        hashedRekordV002: {
          data: { algorithm: 'SHA2_256', digest: toBase64(digest) },
          signature: {
            content: toBase64(envelope.signature),
            verifier: { keyDetails: KEY_DETAILS[type], publicKey: { rawBytes: toBase64(spki) } },
          },
        },
      },
    }),
  );
}
