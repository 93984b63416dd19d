import { ReceiptError } from './error.ts';

/**
 * Content addresses of single raw blocks: CIDv1, codec raw, SHA-256, base32 lower case. The CID of a document is a fixed
 * prefix before the hash of its bytes, so "CID" and "hash" are the same 32 bytes.
 */
const PREFIX = Uint8Array.of(0x01, 0x55, 0x12, 0x20);
const DIGEST_BYTES = 32;
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';
const CID = /^bafkrei[a-z2-7]{52}$/;

export function cidOfDigest(sha256: Uint8Array): string {
  if (sha256.length !== DIGEST_BYTES) throw new ReceiptError('cid_malformed', 'a digest has 32 bytes');
  let text = 'b';
  let bits = 0;
  let held = 0;
  for (const byte of [...PREFIX, ...sha256]) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += ALPHABET[(held >> (bits - 5)) & 31]!;
    held &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + ALPHABET[(held << (5 - bits)) & 31]!;
}

/** The SHA-256 in a CID of the one kind that `cidOfDigest` writes; any other CID is refused. */
export function digestOfCid(cid: string): Uint8Array {
  if (!CID.test(cid)) throw new ReceiptError('cid_malformed', 'not a CIDv1 of a raw SHA-256 block in base32');
  const bytes: number[] = [];
  let bits = 0;
  let held = 0;
  for (const letter of cid.slice(1)) {
    held = (held << 5) | ALPHABET.indexOf(letter);
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push(held >> bits);
      held &= (1 << bits) - 1;
    }
  }
  const digest = Uint8Array.from(bytes.slice(PREFIX.length));
  if (cidOfDigest(digest) !== cid)
    throw new ReceiptError('cid_malformed', 'the CID is not in its canonical form');
  return digest;
}

export function isCid(text: string): boolean {
  try {
    digestOfCid(text);
    return true;
  } catch {
    return false;
  }
}
