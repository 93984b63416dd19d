import { describe, expect, it } from 'vitest';
import { testSpec } from '../../test/support/job-specs.ts';
import { utf8 } from '../encoding.ts';
import { parseStrictJson } from '../json/parse.ts';
import { LIMITS } from '../limits.ts';
import { expandPlan, type PlanSettings } from './expand.ts';
import type { Plan } from './plan.ts';
import { parseJobSpec } from './spec.ts';

const settings: PlanSettings = {
  backends: { '*': ['local', 'golem'], CA: ['golem'] },
  deadlineMs: 86_400_000,
  maxParallel: 10,
  attemptsPerRegion: 3,
};

function plan(changes: object, constraints: object = {}, over: Partial<PlanSettings> = {}): Plan {
  const spec = testSpec();
  const changed = { ...spec, ...changes, constraints: { ...spec.constraints, ...constraints } };
  return expandPlan(parseJobSpec(parseStrictJson(utf8(JSON.stringify(changed)))), { ...settings, ...over });
}

const models = (count: number): string[] => Array.from({ length: count }, (_, i) => `m${i}`);
const questions = (count: number): string[] => Array.from({ length: count }, (_, i) => `q${i}`);
const refusal = (field: string): unknown => expect.objectContaining({ code: 'validation_error', field });

describe('the plan of a job', () => {
  it('is regions × models × questions, in this order', () => {
    const { executions } = plan({ models: models(3), questions: questions(3) }, { regions: ['US', 'EU'] });
    expect(executions).toHaveLength(18);
    expect(new Set(executions.map(String)).size).toBe(18);
    expect(executions.slice(0, 4)).toEqual([
      [0, 0, 0],
      [0, 0, 1],
      [0, 0, 2],
      [0, 1, 0],
    ]);
    expect(executions.at(-1)).toEqual([1, 2, 2]);
  });

  it('marks what the job does not name by -1', () => {
    expect(plan({}).executions).toEqual([
      [0, -1, -1],
      [1, -1, -1],
      [2, -1, -1],
    ]);
    expect(plan({ questions: questions(1) }, { regions: ['EU'] }).executions).toEqual([[0, -1, 0]]);
  });

  it('runs a model in its own regions only', () => {
    const own = [{ id: 'a', regions: ['EU', 'CA'] }, { id: 'b' }];
    expect(plan({ models: own }, { regions: ['US', 'EU'] }).executions).toEqual([
      [0, 1, -1],
      [1, 0, -1],
      [1, 1, -1],
    ]);
  });

  it('sends a private job to strangers only where the job names them', () => {
    const hidden = { visibility: 'private' };
    expect(plan({}, { regions: ['US'] }).backends).toEqual({ US: ['local', 'golem'] });
    expect(plan(hidden, { regions: ['US'] }).backends).toEqual({ US: ['local'] });
    expect(plan(hidden, { regions: ['US'], backends: ['golem'] }).backends).toEqual({ US: ['golem'] });
    expect(() => plan(hidden, { regions: ['CA'] })).toThrow(refusal('constraints.backends'));
  });

  it('refuses a model that has no region in common with the job', () => {
    expect(() => plan({ models: [{ id: 'a', regions: ['CA'] }] })).toThrow(refusal('models[0].regions'));
  });

  it('refuses what can never reach the regions that it demands', () => {
    const own = { models: [{ id: 'a', regions: ['EU'] }] };
    expect(() => plan(own, { min_regions: 2 })).toThrow(refusal('constraints.min_regions'));
    expect(plan(own, { min_regions: 2, fallback_regions: ['CA'] }).min_regions).toBe(2);
  });

  it('freezes the backends of every region, narrowed by the job', () => {
    expect(plan({}, { regions: ['US'], fallback_regions: ['CA'] }).backends).toEqual({
      US: ['local', 'golem'],
      CA: ['golem'],
    });
    expect(plan({}, { regions: ['US', 'CA'], backends: ['golem'] }).backends).toEqual({
      US: ['golem'],
      CA: ['golem'],
    });
  });

  it('refuses a backend that the server does not have, and a region that nobody serves', () => {
    expect(() => plan({}, { backends: ['local', 'slurm'] })).toThrow(refusal('constraints.backends[1]'));
    expect(() => plan({}, { regions: ['CA'], backends: ['local'] })).toThrow(refusal('constraints.backends'));
    expect(() => plan({}, {}, { backends: { CA: ['local'] } })).toThrow(refusal('constraints.regions'));
  });

  it('takes a thousand executions and not one more', () => {
    const regions = ['US'];
    expect(plan({ models: models(100), questions: questions(10) }, { regions }).executions).toHaveLength(
      1_000,
    );
    expect(() => plan({ models: models(77), questions: questions(13) }, { regions })).toThrow(
      /1001 executions/,
    );
  });

  it('stays below its limit of bytes at its largest', () => {
    const long = models(100).map((id) => id + '😀'.repeat(31));
    const largest = plan({ models: long, questions: questions(10) }, { regions: ['US'] });
    expect(utf8(JSON.stringify(largest)).length).toBeLessThan(LIMITS.planBytes);
  });

  it('carries times, rule and settings', () => {
    expect(
      plan({}, { timeout: 1e9, provider_timeout: 5e8, min_regions: 2, min_success_rate: 0.5 }),
    ).toMatchObject({
      v: 1,
      regions: ['US', 'EU', 'APAC'],
      fallback_regions: [],
      timeout_ms: 1_000,
      provider_timeout_ms: 500,
      min_regions: 2,
      min_success_rate: 0.5,
      deadline_ms: 86_400_000,
      max_parallel: 10,
      attempts_per_region: 3,
    });
  });
});
