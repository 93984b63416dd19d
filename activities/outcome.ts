import { failure, type Failure } from '../domain/failure.ts';
import { decideJob } from '../domain/jobspec/success.ts';
import type { Plan } from '../domain/jobspec/plan.ts';
import type { TerminalOutcome } from '../domain/states.ts';
import type { AttestedAttempt } from '../store/attest-reads.ts';
import type { EndedExecution } from '../store/job-end.ts';

/** Why an execution is attested now. `ended`: its attempts decided. The others stop what has not decided yet. */
export type AttestReason = 'ended' | 'cancelled' | 'expired' | 'workflow_closed';

export interface Decision {
  outcome: TerminalOutcome;
  failure: Failure | null;
  /** The attempt whose outcome the receipt states; null when none has one. */
  attempt: AttestedAttempt | null;
}

/**
 * How an execution ended. An outcome that is already staged is attested as it was, whatever the reason: nobody can
 * cancel an answer that he dislikes. A staged failure that another attempt could have mended does not count as one.
 */
export function decide(attempts: readonly AttestedAttempt[], reason: AttestReason): Decision {
  const last = attempts.at(-1) ?? null;
  if (last?.state === 'succeeded') return { outcome: 'completed', failure: null, attempt: last };
  if (last?.state === 'failed' && (reason === 'ended' || last.failure?.retryable === false)) {
    return { outcome: 'failed', failure: last.failure, attempt: last };
  }
  const attempt = attempts.findLast((one) => one.outcome !== null) ?? null;
  switch (reason) {
    case 'ended':
      return {
        outcome: 'failed',
        failure:
          last === null
            ? failure('backend_unavailable', 'no backend of the plan could take it')
            : failure(
                'attempt_lost',
                `the worker was lost in each of the last attempts, the last was ${last.attempt}`,
              ),
        attempt,
      };
    case 'cancelled':
      return { outcome: 'cancelled', failure: failure('cancelled', 'the job was cancelled'), attempt };
    case 'expired':
      return {
        outcome: 'expired',
        failure: failure('deadline_exceeded', "the job's deadline passed"),
        attempt,
      };
    case 'workflow_closed':
      return {
        outcome: 'failed',
        failure: failure('workflow_closed', 'the workflow was closed before the execution ended'),
        attempt,
      };
  }
}

/** How a job ended, once all its executions have; an execution that was followed counts by its follower. */
export function decideJobEnd(
  plan: Pick<Plan, 'executions' | 'min_regions' | 'min_success_rate'>,
  ended: readonly Pick<EndedExecution, 'id' | 'follows' | 'outcome' | 'regionRan'>[],
  cancelRequested: boolean,
): TerminalOutcome {
  const followed = new Set(ended.map((one) => one.follows));
  const answers = ended
    .filter((one) => !followed.has(one.id))
    .map(({ outcome, regionRan }) => ({ outcome, region: regionRan }));
  const { min_regions, min_success_rate } = plan;
  return decideJob(
    { planned: plan.executions.length, min_regions, min_success_rate },
    answers,
    cancelRequested,
  );
}
