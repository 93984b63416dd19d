import fc from 'fast-check';
import { expect, it } from 'vitest';
import { add, decimalOf, isMore, subtract, times, ZERO } from './decimal.ts';

const UNIT = 10n ** 18n;
const MOST = 10n ** 18n * UNIT;
/** An amount as whole 10^-18ths, and as text. */
const atto = fc.bigInt({ min: 0n, max: MOST });
const textOf = (value: bigint): string => `${value / UNIT}.${String(value % UNIT).padStart(18, '0')}`;

it('amounts are exact to the last of 18 digits', () => {
  fc.assert(
    fc.property(atto, atto, (a, b) => {
      expect(decimalOf(textOf(a))).toBe(textOf(a));
      expect(add(textOf(a), textOf(b))).toBe(textOf(a + b));
      expect(subtract(textOf(a), textOf(b))).toBe(textOf(a > b ? a - b : 0n));
      expect(isMore(textOf(a), textOf(b))).toBe(a > b);
    }),
  );
});

it('a bound that is multiplied is rounded up', () => {
  expect(times('0.000000000000000001', 1.2)).toBe('0.000000000000000002');
  expect(times('0.1', 1.2)).toBe('0.120000000000000000');
  expect(times(ZERO, 1.2)).toBe(ZERO);
});

it('numbers of a job spec are taken as they are written', () => {
  expect(decimalOf(0.1)).toBe('0.100000000000000000');
  expect(decimalOf(1e-7)).toBe('0.000000100000000000');
  expect(decimalOf(25)).toBe('25.000000000000000000');
});

it('what is no amount is refused', () => {
  for (const text of ['', '-1', '1e5', 'NaN', '1.', '.5', '0x10', ' 1', '1,5', '9'.repeat(21)])
    expect(() => decimalOf(text)).toThrow(/is no amount/);
  for (const number of [-1, Number.NaN, Infinity, 1e21]) expect(() => decimalOf(number)).toThrow();
});
