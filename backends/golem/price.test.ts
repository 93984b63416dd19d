import { expect, it } from 'vitest';
import { decimalOf } from '../../domain/money/decimal.ts';
import { worstCase } from './price.ts';

const caps = { start: 0.1, cpuHour: 0.2, envHour: 0.1, minute: null, total: null };
const HOUR_MS = 3_600_000;

it.each([
  ['the start and the hours, and a fifth more', {}, '0.72'],
  ['what a minute may cost, where that is less', { minute: 0.005 }, '0.48'],
  ['the hours, where a minute may cost more', { minute: 1 }, '0.72'],
  ['what it may cost in all, where that is less', { total: 0.25 }, '0.25'],
])('the worst case of an attempt is %s', (_what, more, expected) => {
  expect(worstCase({ ...caps, ...more }, HOUR_MS, 2)).toBe(decimalOf(expected));
});
