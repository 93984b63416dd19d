import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseTime, staleness } from './freshness.ts';

describe('times of RFC 3339', () => {
  it('are read as Date reads them', () => {
    fc.assert(
      fc.property(fc.date({ min: new Date(0), max: new Date(8e14), noInvalidDate: true }), (date) => {
        const text = date.toISOString();
        fc.pre(text.length === 24);
        expect(parseTime(text)).toBe(date.getTime());
      }),
    );
  });

  it.each([
    ['2025-08-23T11:17:54Z', '2025-08-23T11:17:54.000Z'],
    ['2025-08-23t11:17:54.1239999z', '2025-08-23T11:17:54.123Z'],
    ['2025-08-23T11:17:54.57+05:30', '2025-08-23T05:47:54.570Z'],
    ['2024-02-29T23:59:60-01:00', '2024-03-01T01:00:00.000Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
  ])('%s is %s', (text, expected) => {
    expect(new Date(parseTime(text)!).toISOString()).toBe(expected);
  });

  it.each([
    [
      '',
      '2025-08-23',
      '2025-08-23 11:17:54Z',
      '2025-08-23T11:17:54',
      '2025-02-29T00:00:00Z',
      '2025-13-01T00:00:00Z',
    ],
    ['2025-01-01T24:00:00Z', '2025-01-01T00:60:00Z', '2025-01-01T00:00:00+24:00', '2025-01-01T00:00:00.Z'],
    [
      `2025-01-01T00:00:00.${'1'.repeat(100)}Z`,
      '2025-04-31T00:00:00Z',
      '1755947874',
      ' 2025-01-01T00:00:00Z',
    ],
  ])('refuse %s and the like', (...texts) => {
    for (const text of texts) expect(parseTime(text)).toBeUndefined();
  });
});

it('is fresh from the oldest to the farthest instant allowed, and not one millisecond beyond', () => {
  const now = Date.parse('2026-01-01T12:00:00Z');
  const window = { maxSkewMs: 300_000, maxAgeMs: 600_000 };
  const at = (ms: number): string | undefined => staleness(new Date(now + ms).toISOString(), now, window);
  expect([at(0), at(300_000), at(-600_000)]).toEqual([undefined, undefined, undefined]);
  expect(at(300_001)).toBe('too_far_in_future');
  expect(at(-600_001)).toBe('too_old');
  expect(staleness('yesterday', now, window)).toBe('format_invalid');
});
