import type { Sha256 } from '../crypto.ts';
import { toBase64, utf8 } from '../encoding.ts';
import { canonicalJson } from '../json/jcs.ts';
import { preAuthEncoding, type Envelope } from './dsse.ts';

/**
 * The entry that stands in the log for an envelope: the body of a Rekor v2 `hashedrekord` 0.0.2 over the envelope's
 * pre-authentication encoding, so that stock Sigstore tools check our log. A pure function of envelope and key.
 */
export function leafOf(envelope: Envelope, spki: Uint8Array, sha256: Sha256): Uint8Array {
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
            verifier: { keyDetails: 'PKIX_ECDSA_P256_SHA_256', publicKey: { rawBytes: toBase64(spki) } },
          },
        },
      },
    }),
  );
}
