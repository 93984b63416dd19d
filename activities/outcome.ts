import { failure, type Failure } from '../domain/failure.ts';
import { meetsSuccessRule } from '../domain/jobspec/success.ts';
import type { Plan } from '../domain/jobspec/plan.ts';
import type { TerminalOutcome } from '../domain/states.ts';
import type { AttestedAttempt, EndedExecution } from '../store/attest.ts';

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

/**
 * How a job ended, once all its executions have. A cancelled job is `cancelled` unless everything completed; otherwise
 * the success rule decides, and a job that misses it because time ran out is `expired`.
 */
export function decideJob(
  plan: Plan,
  ended: readonly EndedExecution[],
  cancelRequested: boolean,
): TerminalOutcome {
  const completed = ended.filter((one) => one.outcome === 'completed');
  if (
    completed.length < plan.executions.length &&
    (cancelRequested || ended.some((one) => one.outcome === 'cancelled'))
  ) {
    return 'cancelled';
  }
  const regions = new Set(completed.map((one) => one.regionRan ?? one.region));
  if (meetsSuccessRule(plan, completed.length, regions.size)) return 'completed';
  return ended.some((one) => one.outcome === 'expired') ? 'expired' : 'failed';
}
