import { expect, test } from 'vitest';
import { duration, parseSince } from './duration.ts';

test('durations are short and have their unit', () => {
  expect([0, 949.6, 1_000, 59_940, 61_000, 3_600_000].map(duration)).toEqual([
    '0 ms',
    '950 ms',
    '1.0 s',
    '59.9 s',
    '1 m 01 s',
    '60 m 00 s',
  ]);
});

test('--since takes a span or a time, and nothing else', () => {
  const now = Date.parse('2026-03-01T12:00:00Z');
  expect(parseSince('90s', now)).toBe(now - 90_000);
  expect(parseSince('2h', now)).toBe(now - 7_200_000);
  expect(parseSince('2026-03-01T11:00:00Z', now)).toBe(now - 3_600_000);
  for (const bad of ['', 'yesterday', '5', '-5m', '10 m', '2026-13-45'])
    expect(parseSince(bad, now)).toBeUndefined();
});
