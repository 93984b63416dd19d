import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { equalBytes, fromBase64, fromHex, fromUtf8, toBase64, toHex, utf8 } from './encoding.ts';

describe('encodings', () => {
  it('agree with Node on every input and come back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'));
        expect(toHex(bytes)).toBe(Buffer.from(bytes).toString('hex'));
        expect(fromBase64(toBase64(bytes))).toEqual(bytes);
        expect(fromHex(toHex(bytes))).toEqual(bytes);
      }),
    );
  });

  it('encode a mebibyte', () => {
    const bytes = new Uint8Array(1_048_576).fill(7);
    expect(equalBytes(fromBase64(toBase64(bytes))!, bytes)).toBe(true);
  });

  it.each(['AA', 'AA=', 'AB==', 'AAB=', 'AA==\n', ' AA==', 'AA-_', '=', 'A===', 'AA==AA=='])(
    'refuse the base64 %j',
    (text) => {
      expect(fromBase64(text)).toBeUndefined();
    },
  );

  it.each(['0', 'AB', '0g', ' 00'])('refuse the hex %j', (text) => {
    expect(fromHex(text)).toBeUndefined();
  });

  it('refuse bytes that are not UTF-8 and keep a byte order mark', () => {
    expect(fromUtf8(Uint8Array.of(0xff))).toBeUndefined();
    expect(fromUtf8(Uint8Array.of(0xed, 0xa0, 0x80))).toBeUndefined();
    expect(fromUtf8(utf8('\ufeffä'))).toBe('\ufeffä');
  });
});
