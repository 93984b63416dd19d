import {
  CancellationScope,
  ActivityCancellationType,
  proxyActivities,
  workflowInfo,
} from '@temporalio/workflow';
import type { AttestActivities, AttestInput, AttestResult } from '../activities/attest.ts';
import type { ExecuteActivities } from '../activities/execute.ts';
import type { Plan } from '../domain/jobspec/plan.ts';

/** `execute` heartbeats every 2 s; a worker silent for this long is gone. */
const HEARTBEAT_TIMEOUT_MS = 30_000;
/** What `execute` may take beyond the attempt's own budget, which it enforces itself: the net, not the limit. */
const EXECUTE_GRACE_MS = 30_000;
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
    startToCloseTimeout: Math.min(plan.timeout_ms, plan.provider_timeout_ms) + EXECUTE_GRACE_MS,
    heartbeatTimeout: HEARTBEAT_TIMEOUT_MS,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { maximumAttempts: 1 },
  }).execute;
}

const attestation = proxyActivities<AttestActivities>({
  startToCloseTimeout: ATTEST_TIMEOUT_MS,
  retry: { initialInterval: 500, backoffCoefficient: 2, maximumInterval: 30_000 },
});

/** `attest` until it holds, whatever is being cancelled: no execution ends without its receipt. */
export function attest(input: AttestInput): Promise<AttestResult> {
  return CancellationScope.nonCancellable(() => attestation.attest(input));
}
