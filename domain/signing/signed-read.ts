import type { Verifiers } from '../crypto.ts';
import { toBase64, utf8 } from '../encoding.ts';
import { canonicalJson } from '../json/jcs.ts';
import { LIMITS } from '../limits.ts';
import { SigningError } from './error.ts';
import { staleness, type FreshnessWindow } from './freshness.ts';
import { decodePublicKey, decodeSignature } from './public-key.ts';
import type { SpecSigner } from './sign.ts';

/**
 * The header `Beacon-Signature`, with which the owner of private jobs reads them (spec: core §13):
 * `key="…", timestamp="…", nonce="…", signature="…"`, key and signature in base64.
 */
export const READ_HEADER = 'beacon-signature';

/** What is signed: RFC 8785 over exactly these members. */
export interface SignedRead {
  /** Upper case. */
  method: string;
  /** Path and query as they are sent. */
  path: string;
  /** RFC 3339. */
  timestamp: string;
  /** At most 256 bytes; good once per key. */
  nonce: string;
  /** Base64 of the 32 bytes. */
  key: string;
}

/** Good this long before and after the time that it names. */
const READ_WINDOW: FreshnessWindow = { maxSkewMs: 5 * 60_000, maxAgeMs: 5 * 60_000 };
const HEADER =
  /^key="([A-Za-z0-9+/=]{44})", ?timestamp="([^"]{1,64})", ?nonce="([\x21\x23-\x7e]{1,256})", ?signature="([A-Za-z0-9+/=]{88})"$/;

function readMessage({ method, path, timestamp, nonce, key }: SignedRead): Uint8Array {
  return utf8(canonicalJson({ method, path, timestamp, nonce, key }));
}

/** The value of the header. */
export function signRead(read: Omit<SignedRead, 'key'>, signer: SpecSigner): string {
  const key = toBase64(signer.publicKey);
  const signature = toBase64(signer.sign(readMessage({ ...read, key })));
  return `key="${key}", timestamp="${read.timestamp}", nonce="${read.nonce}", signature="${signature}"`;
}

/**
 * Whose request this is; that its nonce was not used before is the caller's to ask, after this. Throws SigningError.
 */
export function verifyRead(
  header: string,
  { method, path }: Pick<SignedRead, 'method' | 'path'>,
  nowMs: number,
  verifyEd25519: Verifiers['verifyEd25519'],
): SignedRead {
  const [, key, timestamp, nonce, signature] = HEADER.exec(header) ?? [];
  if (key === undefined || timestamp === undefined || nonce === undefined || signature === undefined) {
    throw new SigningError(
      'validation_error',
      `Beacon-Signature is key="…", timestamp="…", nonce="…", signature="…" with a nonce of at most ${LIMITS.nonceBytes} characters`,
      { field: 'Beacon-Signature' },
    );
  }
  const stale = staleness(timestamp, nowMs, READ_WINDOW);
  if (stale !== undefined) {
    throw new SigningError('timestamp_invalid', `timestamp is not within five minutes of now: ${stale}`, {
      field: 'timestamp',
      reason: stale,
    });
  }
  const read: SignedRead = { method, path, timestamp, nonce, key };
  if (!verifyEd25519(decodePublicKey(key), readMessage(read), decodeSignature(signature))) {
    throw new SigningError('signature_mismatch', 'the request is not signed by the key that it names');
  }
  return read;
}
