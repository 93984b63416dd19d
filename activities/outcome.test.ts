import { describe, expect, it } from 'vitest';
import { failure } from '../domain/failure.ts';
import type { AttestedAttempt } from '../store/attest-reads.ts';
import { decide, decideJobEnd } from './outcome.ts';

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
    cost: null,
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
  type Ended = Parameters<typeof decideJobEnd>[1][number];
  const plan = {
    executions: Array.from({ length: 2 }, (_, i): [number, number, number] => [i, -1, -1]),
    min_regions: 2,
    min_success_rate: 1,
  };
  const one = (id: string, outcome: Ended['outcome'], regionRan: string, follows: string | null = null) => ({
    id,
    outcome,
    regionRan,
    follows,
  });

  it('counts an execution for the region where it ran', () => {
    expect(decideJobEnd(plan, [one('a', 'completed', 'US'), one('b', 'completed', 'EU')], false)).toBe(
      'completed',
    );
    expect(decideJobEnd(plan, [one('a', 'completed', 'US'), one('b', 'completed', 'US')], false)).toBe(
      'failed',
    );
  });

  it('counts only the last of those that followed each other', () => {
    const retried = [one('a', 'cancelled', 'US'), one('b', 'completed', 'EU')];
    expect(decideJobEnd(plan, retried, false)).toBe('cancelled');
    expect(decideJobEnd(plan, [...retried, one('c', 'completed', 'US', 'a')], false)).toBe('completed');
  });
});
