import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TerminalOutcome } from '../states.ts';
import type { Region } from './region.ts';
import { jobOutcome, meetsSuccessRule, reachesRate } from './success.ts';

const rule = (total: number, minRegions: number, rate: number): Parameters<typeof meetsSuccessRule>[0] => ({
  executions: Array.from({ length: total }, () => [0, -1, -1]),
  min_regions: minRegions,
  min_success_rate: rate,
});

describe('the success rule', () => {
  it('compares with the decimal that was written, exactly', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000 }),
        fc.integer({ min: 0, max: 1_000 }),
        fc.integer({ min: 1, max: 9 }),
        fc.nat(1_000_000_000),
        (total, completed, digits, pick) => {
          fc.pre(completed <= total);
          const scale = 10 ** digits;
          const numerator = 1 + (pick % scale);
          const rate = Number(`${numerator}e-${digits}`);
          fc.pre(rate !== 0.67);
          // Below 2^53, so that the oracle's products are exact.
          expect(reachesRate(completed, total, rate)).toBe(completed * scale >= numerator * total);
        },
      ),
    );
  });

  it('takes 0.67 for two thirds and its neighbours as written', () => {
    expect(reachesRate(2, 3, 0.67)).toBe(true);
    expect(reachesRate(666, 1_000, 0.67)).toBe(false);
    expect(reachesRate(667, 1_000, 0.67)).toBe(true);
    expect(reachesRate(2, 3, 0.6701)).toBe(false);
    expect(reachesRate(2, 3, 0.6667)).toBe(false);
    expect(reachesRate(2, 3, 0.6666)).toBe(true);
  });

  it('holds where binary fractions would miss', () => {
    expect(reachesRate(57, 100, 0.57)).toBe(true);
    expect(reachesRate(29, 100, 0.29)).toBe(true);
    expect(reachesRate(1, 1_000, 1e-7)).toBe(true);
    expect(reachesRate(0, 1_000, 1e-7)).toBe(false);
    expect(reachesRate(1_000, 1_000, 1)).toBe(true);
  });

  it('counts a region where an execution ran, and once', () => {
    const ended = (
      ...rows: [TerminalOutcome, Region | null][]
    ): { outcome: TerminalOutcome; region: Region | null }[] =>
      rows.map(([outcome, region]) => ({ outcome, region }));
    expect(
      jobOutcome(rule(3, 2, 0.67), ended(['completed', 'US'], ['completed', 'EU'], ['failed', 'APAC'])),
    ).toBe('completed');
    expect(
      jobOutcome(rule(3, 2, 0.67), ended(['completed', 'US'], ['completed', 'US'], ['failed', 'EU'])),
    ).toBe('failed');
    expect(
      jobOutcome(rule(3, 1, 0.67), ended(['completed', 'US'], ['expired', 'EU'], ['cancelled', null])),
    ).toBe('failed');
  });

  it('divides by what was planned, not by what is there', () => {
    expect(jobOutcome(rule(3, 1, 0.67), [{ outcome: 'completed', region: 'US' }])).toBe('failed');
  });

  it('fails a job of nothing', () => {
    expect(jobOutcome(rule(0, 1, 0.67), [])).toBe('failed');
    expect(meetsSuccessRule(rule(0, 1, 0.67), 0, 0)).toBe(false);
  });
});
