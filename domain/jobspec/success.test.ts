import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TerminalOutcome } from '../states.ts';
import { decideJob, reachesRate, type Answer, type SuccessRule } from './success.ts';

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
});

describe('how a job ended', () => {
  const rule = (planned: number, minRegions: number, rate: number): SuccessRule => ({
    planned,
    min_regions: minRegions,
    min_success_rate: rate,
  });
  const answers = (...rows: [TerminalOutcome, string | null][]): Answer[] =>
    rows.map(([outcome, region]) => ({ outcome, region }));
  const spread = (...outcomes: TerminalOutcome[]): Answer[] =>
    outcomes.map((outcome, i) => ({ outcome, region: `R${i}` }));

  it.each([
    [spread('completed', 'completed', 'completed'), false, 'completed'],
    [spread('completed', 'completed', 'failed'), false, 'completed'],
    [spread('completed', 'failed', 'failed'), false, 'failed'],
    [spread('completed', 'failed', 'expired'), false, 'expired'],
    [spread('completed', 'completed', 'expired'), false, 'completed'],
    [spread('completed', 'completed', 'cancelled'), false, 'cancelled'],
    [spread('completed', 'completed', 'failed'), true, 'cancelled'],
    [spread('completed', 'completed', 'completed'), true, 'completed'],
  ])('case %#', (ended, cancelRequested, outcome) => {
    expect(decideJob(rule(3, 2, 0.67), ended, cancelRequested)).toBe(outcome);
  });

  it('counts a region where an execution ran, and once', () => {
    const twice = answers(['completed', 'US'], ['completed', 'US'], ['failed', 'EU']);
    expect(decideJob(rule(3, 2, 0.67), twice, false)).toBe('failed');
    expect(decideJob(rule(3, 1, 0.67), twice, false)).toBe('completed');
    expect(decideJob(rule(1, 1, 0.67), answers(['completed', null]), false)).toBe('failed');
  });

  it('divides by what was planned, not by what is there', () => {
    expect(decideJob(rule(3, 1, 0.67), answers(['completed', 'US']), false)).toBe('failed');
  });

  it('fails a job of nothing', () => {
    expect(decideJob(rule(0, 1, 0.67), [], false)).toBe('failed');
  });
});
