import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CanonicalJsonError, canonicalJson } from './jcs.ts';

describe('canonical JSON', () => {
  it('writes the sample of RFC 8785 section 3.2.2', () => {
    const sample = {
      numbers: [333333333.33333329, 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"/',
      literals: [null, true, false],
    };
    expect(canonicalJson(sample)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
  });

  it('sorts keys by UTF-16 code units, not by code points', () => {
    const sorted = canonicalJson({
      '\u20ac': 1,
      '\r': 2,
      '\ufb33': 3,
      '1': 4,
      '\u{1f600}': 5,
      '\u0080': 6,
      ö: 7,
    });
    expect(Object.values(JSON.parse(sorted) as object)).toHaveLength(7);
    expect([...sorted.matchAll(/:(\d)/g)].map((match) => match[1]).join('')).toBe('2467153');
  });

  it('does not depend on the order of members and is stable', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value);
        const again: unknown = JSON.parse(text);
        expect(canonicalJson(again)).toBe(text);
        expect(canonicalJson(reversed(again))).toBe(text);
      }),
    );
  });

  it('keeps __proto__ as a plain key and leaves undefined members out', () => {
    expect(canonicalJson(JSON.parse('{"__proto__":{"a":1},"b":2}'))).toBe('{"__proto__":{"a":1},"b":2}');
    expect(canonicalJson({ a: undefined, b: 1 })).toBe('{"b":1}');
    expect(canonicalJson(-0)).toBe('0');
  });

  it.each([
    [NaN, 'number_not_finite'],
    [[Infinity], 'number_not_finite'],
    [{ a: '\ud800' }, 'lone_surrogate'],
    [{ '\udc00': 1 }, 'lone_surrogate'],
    [[undefined], 'not_json'],
    [new Date(0), 'not_json'],
    [10n, 'not_json'],
  ])('refuses %o with %s', (value, code) => {
    const refused = expect(() => canonicalJson(value));
    refused.toThrow(CanonicalJsonError);
    refused.toThrow(expect.objectContaining({ code }));
  });
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, member]) => [key, reversed(member)]),
  );
}
