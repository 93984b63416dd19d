import { describe, expect, it } from 'vitest';
import { fromUtf8, utf8 } from '../encoding.ts';
import { LIMITS } from '../limits.ts';
import { documentBytes, parseCanonicalJson, readDocument } from './document.ts';
import { count, exact } from './shape.ts';

const refused = (code: string): unknown => expect.objectContaining({ name: 'ReceiptError', code });

describe('a signed document', () => {
  it('is written in the canonical form and read from it alone', () => {
    const bytes = documentBytes({ b: [1, 'ä'], a: null });
    expect(fromUtf8(bytes)).toBe('{"a":null,"b":[1,"ä"]}');
    expect(parseCanonicalJson(bytes)).toEqual({ a: null, b: [1, 'ä'] });
  });

  it.each(['{"b":1,"a":2}', '{"a":1,"a":1}', '{"a": 1}', '{"a":1.0}', '"\\u0061"'])(
    'refuses the second spelling %s',
    (text) => {
      expect(() => parseCanonicalJson(utf8(text))).toThrow(refused('document_not_canonical'));
    },
  );

  it.each([
    ['what is not UTF-8', Uint8Array.of(0x22, 0xff, 0x22)],
    ['what is not JSON', utf8('{"a":')],
    ['a lone surrogate, which has no canonical form', utf8(String.raw`"\ud800"`)],
  ])('refuses %s', (_what, bytes) => {
    expect(() => parseCanonicalJson(bytes)).toThrow(refused('document_malformed'));
  });

  it('fills at most one block, written or read', () => {
    const quotes = 2;
    const full = 'a'.repeat(LIMITS.receiptBytes - quotes);
    const bytes = utf8(JSON.stringify(full));
    expect(parseCanonicalJson(bytes)).toBe(full);
    expect(() => parseCanonicalJson(utf8(JSON.stringify(`${full}a`)))).toThrow(refused('document_too_large'));
    const around = '{"a":""}'.length;
    const value = 'a'.repeat(LIMITS.receiptBytes - around);
    expect(documentBytes({ a: value })).toHaveLength(LIMITS.receiptBytes);
    expect(() => documentBytes({ a: `${value}a` })).toThrow(refused('document_too_large'));
  });

  it('names the member that has another shape, from the top', () => {
    const shape = exact({ a: exact({ b: count }) });
    expect(readDocument(utf8('{"a":{"b":1}}'), shape)).toEqual({ a: { b: 1 } });
    expect(() => readDocument(utf8('{"a":{"b":"1"}}'), shape)).toThrow(/^a\.b is not a whole number/);
    expect(() => readDocument(utf8('[]'), shape)).toThrow(/^the value is not an object/);
  });
});
