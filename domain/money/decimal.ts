/** Amounts of GLM: exact decimals with 18 digits, as strings (`1.500000000000000000`), never floating point. */
import Big, { type RoundingMode } from 'big.js';

const DIGITS = 18;
/** An own constructor: other users of the library have their own settings. */
const Amount = Big();
// Only divisions round; ours never pays more than was meant.
Amount.DP = 30;
Amount.RM = Big.roundDown;

const PLAIN = /^\d{1,20}(\.\d{1,30})?$/;

export class MoneyError extends Error {
  override readonly name = 'MoneyError';
  readonly code = 'amount_malformed';
}

/** A canonical amount of whatever states one: the text of another system, or a number of a job spec. */
export function decimalOf(value: string | number): string {
  const big = read(typeof value === 'number' ? new Amount(value) : value);
  return format(big);
}

export const ZERO = decimalOf(0);

export const add = (...amounts: string[]): string =>
  format(amounts.reduce((sum, one) => sum.plus(read(one)), new Amount(0)));

/** `a - b`; zero when `b` is more. */
export function subtract(a: string, b: string): string {
  const left = read(a).minus(read(b));
  return format(left.lt(0) ? new Amount(0) : left);
}

/** An amount times a number, rounded up, so that a bound stays a bound. */
export const times = (amount: string, factor: number): string =>
  format(read(amount).times(new Amount(factor)), Big.roundUp);

export const isMore = (a: string, b: string): boolean => read(a).gt(read(b));

function read(value: string | Big): Big {
  if (typeof value !== 'string') return bounded(value);
  if (!PLAIN.test(value)) throw new MoneyError(`${JSON.stringify(value.slice(0, 60))} is no amount`);
  return bounded(new Amount(value));
}

function bounded(big: Big): Big {
  if (big.lt(0) || big.gte('1e20')) throw new MoneyError(`${big.toString()} is no amount`);
  return big;
}

function format(big: Big, rounding: RoundingMode = Big.roundDown): string {
  return big.toFixed(DIGITS, rounding);
}
