/**
 * Settles what ended attempts on Golem owe. A schedule starts one of these every minute, never two at once: it runs lots
 * until nothing can be settled at once, at most a number of them, and ends. What waits is for the next one.
 */
import { proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { SweepActivities } from '../activities/sweep.ts';

/** Fifty attempts, each a few calls of seconds when yagna is slow. */
const LOT_TIMEOUT_MS = 10 * 60_000;
const HEARTBEAT_TIMEOUT_MS = 30_000;
/** No worker of Golem runs: the next schedule looks again. */
const UNSERVED_MS = 5 * 60_000;
/** Keeps a workflow's history short. */
const LOTS = 50;

export async function sweepWorkflow(): Promise<number> {
  const { sweep } = proxyActivities<SweepActivities>({
    taskQueue: workflowInfo().taskQueue.replace(/beacon$/, 'backend-golem'),
    startToCloseTimeout: LOT_TIMEOUT_MS,
    scheduleToStartTimeout: UNSERVED_MS,
    heartbeatTimeout: HEARTBEAT_TIMEOUT_MS,
    retry: { initialInterval: 5_000, maximumInterval: 60_000, maximumAttempts: 3 },
  });
  let looked = 0;
  for (let lot = 0; lot < LOTS; lot++) {
    const result = await sweep();
    looked += result.looked;
    if (!result.more) break;
  }
  return looked;
}
