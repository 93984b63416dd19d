import { Big as Decimal } from 'big.js';

/** GLM amounts: decimals with at most 18 digits behind the point, never floats. */
export type Amount = Decimal;

const DIGITS = 18;

export const amount = (text: string): Amount => new Decimal(text);
export const zero = (): Amount => new Decimal(0);
export const sum = (amounts: Amount[]): Amount => amounts.reduce((total, one) => total.plus(one), zero());
/** What cannot be paid exactly is not asked for. */
export const payable = (exact: Amount): Amount => exact.round(DIGITS, Decimal.roundDown);
/** Without an exponent, however small. */
export const textOf = (of: Amount): string => of.toFixed();
export const isAmount = (text: string): boolean => /^\d+(\.\d{1,18})?$/.test(text);
