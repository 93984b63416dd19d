import type { Sha256 } from '../crypto.ts';
import { toBase64 } from '../encoding.ts';
import { ed25519Spki, noteKeyHash, type NoteKey } from '../log/vkey.ts';

const TRUSTED_ROOT = 'application/vnd.dev.sigstore.trustedroot+json;version=0.1';
/** A log has no time of its own that a tool could hold against this; when a key ends is told by the log. */
const SINCE = '1970-01-01T00:00:00Z';

/**
 * The log's verifier keys as a Sigstore trusted root, for stock tools; worth as much as whoever names those keys. Tools
 * take the log's name from the URL, without its scheme.
 */
export function trustedRoot(logKeys: readonly NoteKey[], sha256: Sha256) {
  return {
    mediaType: TRUSTED_ROOT,
    tlogs: logKeys.map(({ name, publicKey }) => {
      const keyId = toBase64(noteKeyHash(name, publicKey, sha256));
      return {
        baseUrl: `https://${name}`,
        hashAlgorithm: 'SHA2_256',
        publicKey: {
          rawBytes: toBase64(ed25519Spki(publicKey)),
          keyDetails: 'PKIX_ED25519',
          validFor: { start: SINCE },
        },
        logId: { keyId },
        checkpointKeyId: { keyId },
      };
    }),
    certificateAuthorities: [],
    ctlogs: [],
    timestampAuthorities: [],
  };
}
