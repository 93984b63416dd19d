import {
  ActivityFailure,
  CancellationScope,
  ActivityCancellationType,
  proxyActivities,
  workflowInfo,
} from '@temporalio/workflow';
import type { AttestActivities, AttestInput, AttestResult } from '../activities/attest.ts';
import type { ExecuteActivities } from '../activities/execute.ts';
import type { NegotiateActivities, ReleaseInput } from '../activities/negotiate.ts';
import { negotiates } from '../domain/backend-kinds.ts';
import type { Plan } from '../domain/jobspec/plan.ts';

/** `execute` heartbeats every 2 s; a worker silent for this long is gone. */
const HEARTBEAT_TIMEOUT_MS = 30_000;
/** What `execute` may take beyond the attempt's own budget, which it enforces itself: the net, not the limit. */
const EXECUTE_GRACE_MS = 30_000;
/** What an attempt at a backend that negotiates takes before its program runs and after: approval, deploy, invoice. */
const PLACING_GRACE_MS = 240_000;
/** One look at a market is seconds; longer means that something is stuck. */
const NEGOTIATE_TIMEOUT_MS = 120_000;
/** What is not cleaned up by then is left to the sweeper. */
const RELEASE_WITHIN_MS = 600_000;
const RELEASE_TIMEOUT_MS = 60_000;
/** Of a job that is to end: its worker has cleaned up already, and who cancelled waits. */
export const RELEASE_OF_CANCELLED_MS = 30_000;
/** One database transaction and a signature; longer means that something is stuck and another worker should try. */
const ATTEST_TIMEOUT_MS = 30_000;

/** The queue of a backend's workers beside this workflow's queue `<prefix>beacon`. */
function backendQueue(backend: string): string {
  return workflowInfo().taskQueue.replace(/beacon$/, `backend-${backend}`);
}

/** `execute` at one backend: never retried by Temporal, since only the workflow decides on a next attempt. */
export function execute(backend: string, plan: Plan): ExecuteActivities['execute'] {
  return proxyActivities<ExecuteActivities>({
    taskQueue: backendQueue(backend),
    startToCloseTimeout:
      Math.min(plan.timeout_ms, plan.provider_timeout_ms) +
      EXECUTE_GRACE_MS +
      (negotiates(backend) ? PLACING_GRACE_MS : 0),
    heartbeatTimeout: HEARTBEAT_TIMEOUT_MS,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { maximumAttempts: 1 },
  }).execute;
}

/**
 * `negotiate` at one backend, tried again while the backend cannot look: that is no attempt, and only the job's deadline
 * or its cancellation ends it.
 */
export function negotiate(backend: string): NegotiateActivities['negotiate'] {
  return proxyActivities<NegotiateActivities>({
    taskQueue: backendQueue(backend),
    startToCloseTimeout: NEGOTIATE_TIMEOUT_MS,
    heartbeatTimeout: HEARTBEAT_TIMEOUT_MS,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: 1_000, backoffCoefficient: 2, maximumInterval: 10_000 },
  }).negotiate;
}

/** `release` of a lost attempt, whatever is being cancelled; gives up silently, since the sweeper comes after it. */
export function release(input: ReleaseInput, withinMs = RELEASE_WITHIN_MS): Promise<void> {
  const { release: run } = proxyActivities<NegotiateActivities>({
    taskQueue: backendQueue(input.backend),
    startToCloseTimeout: RELEASE_TIMEOUT_MS,
    scheduleToCloseTimeout: withinMs,
    heartbeatTimeout: HEARTBEAT_TIMEOUT_MS,
    retry: { initialInterval: 500, backoffCoefficient: 2, maximumInterval: 30_000 },
  });
  return CancellationScope.nonCancellable(() => run(input)).catch((error: unknown) => {
    if (!(error instanceof ActivityFailure)) throw error;
  });
}

const attestation = proxyActivities<AttestActivities>({
  startToCloseTimeout: ATTEST_TIMEOUT_MS,
  retry: { initialInterval: 500, backoffCoefficient: 2, maximumInterval: 30_000 },
});

/** `attest` until it holds, whatever is being cancelled: no execution ends without its receipt. */
export function attest(input: AttestInput): Promise<AttestResult> {
  return CancellationScope.nonCancellable(() => attestation.attest(input));
}
