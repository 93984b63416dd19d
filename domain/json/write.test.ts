import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonText, jsonValue } from '../../test/support/job-specs.ts';
import { utf8 } from '../encoding.ts';
import { canonicalJson } from './jcs.ts';
import { parseStrictJson } from './parse.ts';
import { compareUtf8, writeJson, type JsonStyle } from './write.ts';

const JCS: JsonStyle = { keys: 'utf16', values: 'plain' };
const GO: JsonStyle = { keys: 'utf8', values: 'go' };
const rewrite = (text: string, style: JsonStyle): string => writeJson(parseStrictJson(utf8(text)), style);

/** The oracle: JavaScript's own parser, sort and writer. */
function oracle(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(oracle).join()}]`;
  const members = Object.entries(value).map(([key, member]) => ({
    key,
    text: `${JSON.stringify(key)}:${oracle(member)}`,
  }));
  return `{${members
    .toSorted((a, b) => Number(a.key > b.key) - Number(a.key < b.key))
    .map(({ text }) => text)
    .join()}}`;
}

describe('RFC 8785 over a parsed text', () => {
  it('equals an independent oracle and the writer of plain values', () => {
    fc.assert(
      fc.property(jsonValue, (value) => {
        const text = rewrite(JSON.stringify(value), JCS);
        expect(text).toBe(oracle(JSON.parse(JSON.stringify(value))));
        expect(text).toBe(canonicalJson(JSON.parse(JSON.stringify(value))));
      }),
    );
  });

  it.each([
    ['0000000000000000', '0'],
    ['8000000000000000', '0'],
    ['0000000000000001', '5e-324'],
    ['8000000000000001', '-5e-324'],
    ['7fefffffffffffff', '1.7976931348623157e+308'],
    ['ffefffffffffffff', '-1.7976931348623157e+308'],
    ['4340000000000000', '9007199254740992'],
    ['c340000000000000', '-9007199254740992'],
    ['4430000000000000', '295147905179352830000'],
    ['44b52d02c7e14af5', '9.999999999999997e+22'],
    ['44b52d02c7e14af6', '1e+23'],
    ['44b52d02c7e14af7', '1.0000000000000001e+23'],
    ['444b1ae4d6e2ef4e', '999999999999999700000'],
    ['444b1ae4d6e2ef4f', '999999999999999900000'],
    ['444b1ae4d6e2ef50', '1e+21'],
    ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
    ['3eb0c6f7a0b5ed8d', '0.000001'],
    ['41b3de4355555553', '333333333.3333332'],
    ['41b3de4355555557', '333333333.33333343'],
    ['becbf647612f3696', '-0.0000033333333333333333'],
    ['43143ff3c1cb0959', '1424953923781206.2'],
  ])('writes the number %s of RFC 8785 appendix B as %s', (hex, expected) => {
    const value = Buffer.from(hex, 'hex').readDoubleBE();
    expect(writeJson(value, JCS)).toBe(expected);
    expect(rewrite(value.toExponential(20), JCS)).toBe(expected);
  });

  it('writes numbers by value, however they are spelled', () => {
    expect(rewrite('[1.0,1e3,-0,-0.0,600000000000,0.670,9007199254740993]', JCS)).toBe(
      '[1,1000,0,0,600000000000,0.67,9007199254740992]',
    );
  });

  it('sorts by UTF-16 code units', () => {
    expect(rewrite('{"\\ufb33":1,"😀":2,"ö":3,"10":4,"9":5}', JCS)).toBe(
      '{"10":4,"9":5,"ö":3,"😀":2,"\ufb33":1}',
    );
  });
});

describe('the JSON of Go', () => {
  it('escapes what HTML gives a meaning, and writes everything else as encoding/json did', () => {
    expect(rewrite('["<script>&\\u2028\\u2029","\\b\\f\\n\\r\\t\\u001f\\u007f","\\\\b\\"/","é😀"]', GO)).toBe(
      '["\\u003cscript\\u003e\\u0026\\u2028\\u2029","\\u0008\\u000c\\n\\r\\t\\u001f\u007f","\\\\b\\"/","é😀"]',
    );
    expect(rewrite('{"<":1}', GO)).toBe('{"\\u003c":1}');
  });

  it('formats numbers as float64: an exponent from 1e21 on and below 1e-6, the sign of zero kept', () => {
    expect(rewrite('[600000000000,0.67,1.0,-0,1e21,999999999999999900000,0.000001,1e-7,1E3]', GO)).toBe(
      '[600000000000,0.67,1,-0,1e+21,999999999999999900000,0.000001,1e-7,1000]',
    );
  });

  it('sorts keys by their UTF-8 bytes', () => {
    expect(rewrite('{"\\ufb33":1,"😀":2,"ö":3}', GO)).toBe('{"ö":3,"\ufb33":1,"😀":2}');
    fc.assert(
      fc.property(jsonText, jsonText, (a, b) => {
        expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(utf8(a), utf8(b)));
      }),
    );
  });

  it('says the same as the text that it was written from', () => {
    fc.assert(
      fc.property(jsonValue, (value) => {
        const text = JSON.stringify(value);
        expect(oracle(JSON.parse(rewrite(text, GO)))).toBe(oracle(JSON.parse(text)));
      }),
    );
  });
});
