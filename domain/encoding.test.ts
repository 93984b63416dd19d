import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, equalBytes, fromBase64, fromHex, fromUtf8, toBase64, toHex, utf8 } from './encoding.ts';

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

  it('of nothing are the empty text', () => {
    expect([toBase64(new Uint8Array()), toHex(new Uint8Array())]).toEqual(['', '']);
    expect([fromBase64(''), fromHex('')]).toEqual([new Uint8Array(), new Uint8Array()]);
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

describe('bytes', () => {
  const of = (...bytes: number[]) => Uint8Array.from(bytes);

  it('are equal when all of them are, and there are as many', () => {
    expect(equalBytes(of(), of())).toBe(true);
    expect(equalBytes(of(1, 2), of(1, 2))).toBe(true);
    expect(equalBytes(of(1, 2), of(1, 3))).toBe(false);
    expect(equalBytes(of(1), of(1, 2))).toBe(false);
    expect(equalBytes(of(1, 2), of(1))).toBe(false);
  });

  it('are joined in order', () => {
    expect(concatBytes()).toEqual(of());
    expect(concatBytes(of(1), of(), of(2, 3), of(4))).toEqual(of(1, 2, 3, 4));
  });
});
