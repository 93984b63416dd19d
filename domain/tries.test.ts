import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FAILURES, type FailureCode } from './failure.ts';
import type { Plan } from './jobspec/plan.ts';
import { nextPlace, type Try } from './tries.ts';

const plan: Plan = {
  v: 1,
  regions: ['US'],
  fallback_regions: ['EU'],
  models: [],
  questions: 0,
  executions: [[0, -1, -1]],
  backends: { US: ['golem', 'local'], EU: ['local'] },
  min_regions: 1,
  min_success_rate: 0.67,
  timeout_ms: 600_000,
  provider_timeout_ms: 300_000,
  deadline_ms: 86_400_000,
  max_parallel: 10,
  attempts_per_region: 3,
};

/** Tries of `codes`, each where `nextPlace` sent it. */
function play(
  codes: FailureCode[],
  settings: Plan = plan,
): { tries: Try[]; next: ReturnType<typeof nextPlace> } {
  const tries: Try[] = [];
  for (const code of codes) {
    const place = nextPlace(settings, 'US', tries);
    if (place === undefined) break;
    tries.push({ ...place, code, retryable: FAILURES[code].retryable });
  }
  return { tries, next: nextPlace(settings, 'US', tries) };
}

describe('the next place of an execution', () => {
  it('is its own region at the first backend', () => {
    expect(play([]).next).toEqual({ region: 'US', backend: 'golem' });
  });

  it('is nowhere after a fault of the program', () => {
    expect(play(['exit_nonzero']).next).toBeUndefined();
  });

  it('goes round the backends of the region, then to the fallback region', () => {
    const { tries, next } = play(['provider_lost', 'backend_error', 'provider_lost']);
    expect(tries.map((one) => one.backend)).toEqual(['golem', 'local', 'golem']);
    expect(next).toEqual({ region: 'EU', backend: 'local' });
  });

  it('does not ask a backend again that must be set up first', () => {
    expect(play(['image_unavailable', 'image_unavailable']).next).toEqual({ region: 'EU', backend: 'local' });
    expect(play(['image_unavailable', 'image_unavailable', 'image_unavailable']).next).toBeUndefined();
  });

  it('does not wait a second time for a place that was too slow', () => {
    const one = { ...plan, backends: { US: ['local'], EU: ['local'] } } satisfies Plan;
    expect(play(['attempt_timeout'], one).next).toEqual({ region: 'EU', backend: 'local' });
  });

  it('passes over a region that has no backend', () => {
    const settings = { ...plan, fallback_regions: ['CA', 'EU'], attempts_per_region: 1 } satisfies Plan;
    expect(play(['provider_lost'], settings).next).toEqual({ region: 'EU', backend: 'local' });
  });

  it('comes back to no region, though it falls back on itself', () => {
    const settings = { ...plan, fallback_regions: ['US'], attempts_per_region: 2 } satisfies Plan;
    expect(play(['provider_lost', 'provider_lost'], settings).next).toBeUndefined();
  });

  it('never leaves the planned regions and backends and always comes to an end', () => {
    const codes = Object.keys(FAILURES) as FailureCode[];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...codes), { minLength: 20, maxLength: 30 }), (faults) => {
        const { tries, next } = play(faults);
        expect(next).toBeUndefined();
        expect(tries.length).toBeLessThanOrEqual(plan.attempts_per_region * 2);
        for (const one of tries) expect(plan.backends[one.region]).toContain(one.backend);
      }),
    );
  });
});
