import { describe, expect, it } from 'vitest';
import { failure } from '../domain/failure.ts';
import type { Plan } from '../domain/jobspec/plan.ts';
import type { AttestedAttempt, EndedExecution } from '../store/attest.ts';
import { decide, decideJob } from './outcome.ts';

function attempt(state: AttestedAttempt['state'], code?: Parameters<typeof failure>[0]): AttestedAttempt {
  return {
    attempt: 1,
    state,
    backend: 'local',
    region: 'US',
    external_ids: {},
    outcome: state === 'succeeded' ? {} : null,
    failure: code === undefined ? null : failure(code, code),
    duration_ms: 1,
    created_at: '2026-01-01T00:00:00Z',
    ended_at: null,
  };
}

describe('how an execution ended', () => {
  it('is completed when its last attempt succeeded, even while the job is being cancelled', () => {
    for (const reason of ['ended', 'cancelled', 'expired', 'workflow_closed'] as const) {
      expect(decide([attempt('failed', 'provider_lost'), attempt('succeeded')], reason).outcome).toBe(
        'completed',
      );
    }
  });

  it('keeps a failure that nothing could have mended, even while the job is being cancelled', () => {
    expect(decide([attempt('failed', 'exit_nonzero')], 'cancelled')).toMatchObject({
      outcome: 'failed',
      failure: { code: 'exit_nonzero' },
    });
  });

  it('is cancelled when the next attempt could have mended the failure', () => {
    expect(decide([attempt('failed', 'provider_lost')], 'cancelled').outcome).toBe('cancelled');
    expect(decide([attempt('failed', 'provider_lost')], 'ended').outcome).toBe('failed');
  });

  it.each([
    ['cancelled', 'cancelled', 'cancelled'],
    ['expired', 'expired', 'deadline_exceeded'],
    ['workflow_closed', 'failed', 'workflow_closed'],
    ['ended', 'failed', 'backend_unavailable'],
  ] as const)('without any attempt and for reason %s is %s', (reason, outcome, code) => {
    expect(decide([], reason)).toMatchObject({ outcome, failure: { code }, attempt: null });
  });
});

describe('how a job ended', () => {
  const plan = {
    executions: [
      [0, -1, -1],
      [1, -1, -1],
      [2, -1, -1],
    ],
    min_regions: 2,
    min_success_rate: 0.67,
  } as unknown as Plan;
  const ended = (...outcomes: EndedExecution['outcome'][]): EndedExecution[] =>
    outcomes.map(
      (outcome, index) => ({ outcome, index, region: `R${index}`, regionRan: `R${index}` }) as EndedExecution,
    );

  it.each([
    [ended('completed', 'completed', 'completed'), false, 'completed'],
    [ended('completed', 'completed', 'failed'), false, 'completed'],
    [ended('completed', 'failed', 'failed'), false, 'failed'],
    [ended('completed', 'failed', 'expired'), false, 'expired'],
    [ended('completed', 'completed', 'expired'), false, 'completed'],
    [ended('completed', 'completed', 'cancelled'), false, 'cancelled'],
    [ended('completed', 'completed', 'failed'), true, 'cancelled'],
    [ended('completed', 'completed', 'completed'), true, 'completed'],
  ])('case %#', (executions, cancelRequested, outcome) => {
    expect(decideJob(plan, executions, cancelRequested)).toBe(outcome);
  });

  it('counts an execution for the region where it ran', () => {
    const fallback = ended('completed', 'completed', 'failed').map((one) => ({ ...one, regionRan: 'R0' }));
    expect(decideJob(plan, fallback, false)).toBe('failed');
  });
});
