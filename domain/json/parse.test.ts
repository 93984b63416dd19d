import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonText, jsonValue } from '../../test/support/job-specs.ts';
import { utf8 } from '../encoding.ts';
import { LIMITS } from '../limits.ts';
import { JsonError } from './error.ts';
import { isJsonObject, toPlain, type JsonNode } from './node.ts';
import { parseStrictJson } from './parse.ts';
import { writeJson } from './write.ts';

const parse = (text: string): JsonNode => parseStrictJson(utf8(text));

function refusal(bytes: Uint8Array): JsonError {
  try {
    parseStrictJson(bytes);
  } catch (error) {
    if (error instanceof JsonError) return error;
    throw error;
  }
  throw new Error('the text was taken');
}

describe('strict JSON', () => {
  it('reads what JSON.parse reads, with or without white space', () => {
    fc.assert(
      fc.property(jsonValue, fc.constantFrom(undefined, 1, '\t'), (value, space) => {
        const text = JSON.stringify(value, null, space);
        expect(JSON.stringify(toPlain(parse(text)))).toBe(JSON.stringify(JSON.parse(text)));
      }),
    );
  });

  it('agrees with JSON.parse on what is JSON at all', () => {
    const fragment = fc.constantFrom(
      ...Array.from('{}[]",:0123456789.eE+-\\utrfalsn \n\tb/'),
      'true',
      'null',
      '"a"',
      '"b":',
      '\\u00e9',
    );
    fc.assert(
      fc.property(fc.string({ unit: fragment, maxLength: 12 }), (text) => {
        let expected: unknown;
        try {
          expected = JSON.parse(text);
        } catch {
          expect(() => parse(text)).toThrow(JsonError);
          return;
        }
        try {
          expect(JSON.stringify(toPlain(parse(text)))).toBe(JSON.stringify(expected));
        } catch (error) {
          if (!(error instanceof JsonError)) throw error;
          expect(['duplicate_key', 'number_out_of_range', 'lone_surrogate']).toContain(error.code);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('keeps the order of members, integer-like keys too', () => {
    expect(
      writeJson(parse('{"b":1,"10":2,"2":3,"a":{"1":0,"0":0}}'), { keys: 'document', values: 'plain' }),
    ).toBe('{"b":1,"10":2,"2":3,"a":{"1":0,"0":0}}');
  });

  it('makes __proto__ and constructor plain keys of objects without prototype', () => {
    const plain = toPlain(parse('{"__proto__":{"polluted":true},"constructor":1,"toString":2}')) as object;
    expect(Object.getPrototypeOf(plain)).toBeNull();
    expect(Object.keys(plain)).toEqual(['__proto__', 'constructor', 'toString']);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it('refuses a key that stands twice, wherever and however it is written', () => {
    fc.assert(
      fc.property(
        fc.dictionary(jsonText, jsonValue, { minKeys: 1 }),
        fc.nat(),
        jsonValue,
        (object, pick, value) => {
          const keys = Object.keys(object);
          const key = keys[pick % keys.length]!;
          const again = Array.from({ length: key.length }, (_, i) => escaped(key.charCodeAt(i))).join('');
          const text = `[{"x":${JSON.stringify(object).slice(0, -1)},"${again}":${JSON.stringify(value)}}}]`;
          expect(refusal(utf8(text)).code).toBe('duplicate_key');
        },
      ),
    );
  });

  it('takes nesting up to the limit and refuses one more before it can overflow', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
    expect(parse(nested(LIMITS.jsonDepth))).toBeInstanceOf(Array);
    expect(refusal(utf8(nested(LIMITS.jsonDepth + 1))).code).toBe('too_deep');
    expect(refusal(utf8('{"a":'.repeat(200_000))).code).toBe('too_deep');
  });

  it.each([
    ['a NUL in a string', '{"a":"x\\u0000"}', 'nul_character', 'a', 7],
    ['a NUL in a key', '{"\\u0000":1}', 'nul_character', '', 2],
    ['a raw NUL in a string', '["\0"]', 'nul_character', '[0]', 2],
    ['a raw NUL outside', '\0', 'nul_character', '', 0],
    ['a lone high surrogate', '{"a":["\\ud83d"]}', 'lone_surrogate', 'a[0]', 7],
    ['a lone low surrogate', '["\\ude00\\ud83d"]', 'lone_surrogate', '[0]', 2],
    ['a lone surrogate in a key', '{"\\ud83dx":1}', 'lone_surrogate', '', 2],
    ['a number beyond a double', '{"a":{"b":1e400}}', 'number_out_of_range', 'a.b', 10],
    ['a duplicate after multi-byte text', '{"é":1,"b":{"c":1,"c":2}}', 'duplicate_key', 'b.c', 19],
    ['text after the end', '{} {}', 'syntax', '', 3],
    ['nothing', '', 'syntax', '', 0],
    ['a raw line break in a string', '"a\nb"', 'syntax', '', 2],
    ['a comma at the end', '{"a":1,}', 'syntax', '', 7],
    ['an unfinished string', '{"a":"b', 'syntax', 'a', 7],
    ['an odd key', '{"a b":{"c":[tru]}}', 'syntax', '["a b"].c[0]', 13],
  ])('refuses %s and says where', (_, text, code, path, offset) => {
    const error = refusal(utf8(text));
    expect({ code: error.code, path: error.path, offset: error.offset }).toEqual({ code, path, offset });
  });

  it('takes a surrogate pair that is escaped', () => {
    expect(parse('"\\ud83d\\ude00"')).toBe('😀');
  });

  it('refuses bytes that are not well-formed UTF-8, a surrogate encoded in UTF-8, and a byte order mark', () => {
    expect(refusal(Uint8Array.of(0x22, 0xff, 0x22)).code).toBe('invalid_utf8');
    expect(refusal(Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22)).code).toBe('invalid_utf8');
    expect(refusal(Uint8Array.of(0x22, 0xc0, 0x80, 0x22)).code).toBe('invalid_utf8');
    expect(refusal(Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b, 0x7d)).code).toBe('byte_order_mark');
  });

  it('gives an object for an object only', () => {
    expect(isJsonObject(parse('{}'))).toBe(true);
    expect(isJsonObject(parse('[]'))).toBe(false);
    expect(isJsonObject(parse('null'))).toBe(false);
  });
});

function escaped(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`;
}
