import { fromBase64, fromHex, toBase64 } from '../encoding.ts';
import { SigningError } from './error.ts';

export const PUBLIC_KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

/**
 * The y-coordinates, sign bit cleared, of Ed25519 points of small order and of their non-canonical spellings. Under
 * such a key one signature fits many messages, so it binds nobody to anything.
 */
const SMALL_ORDER = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
];
/** The same with either sign, in the one base64 text that each has. */
const SMALL_ORDER_TEXTS: ReadonlySet<string> = new Set(
  SMALL_ORDER.flatMap((hex) =>
    [0, 0x80].map((sign) => {
      const key = fromHex(hex)!;
      key[31]! |= sign;
      return toBase64(key);
    }),
  ),
);

/**
 * The 32 bytes of an Ed25519 public key in standard base64 with padding, canonical. Base64 or size wrong, or a key that
 * cannot sign: `invalid_encoding:public_key`.
 */
export function decodePublicKey(text: string): Uint8Array {
  const bytes = decode(text, PUBLIC_KEY_BYTES, 'public_key');
  if (SMALL_ORDER_TEXTS.has(text)) {
    throw new SigningError(
      'invalid_encoding:public_key',
      'public_key is a point of small order, which binds no message',
      {
        field: 'public_key',
        reason: 'small_order',
      },
    );
  }
  return bytes;
}

/** The contract has one code for both fields (spec: beacon §2.1); `details.field` says which it is. */
export function decodeSignature(text: string): Uint8Array {
  return decode(text, SIGNATURE_BYTES, 'signature');
}

function decode(text: string, size: number, field: 'public_key' | 'signature'): Uint8Array {
  // Longer texts cannot be right; they are not decoded at all.
  const bytes = text.length <= 2 * size ? fromBase64(text) : undefined;
  if (bytes?.length !== size) {
    throw new SigningError(
      'invalid_encoding:public_key',
      `${field} must be ${size} bytes in standard base64 with padding`,
      {
        field,
        reason: bytes === undefined ? 'base64' : 'size',
      },
    );
  }
  return bytes;
}
