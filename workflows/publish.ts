/**
 * Brings ended jobs to one place outside. A schedule starts one of these for each configured place every few seconds,
 * never two at once: it runs batches until nothing is due, at most a number of them, and ends. What is left, and what
 * failed, is for the next one; how long a place that does not answer is left alone stands in the database.
 */
import { proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { PublishActivities, PublishInput } from '../activities/publish.ts';

/** A batch of 20 trees through a slow disk. */
const BATCH_TIMEOUT_MS = 30 * 60_000;
const HEARTBEAT_TIMEOUT_MS = 30_000;
/** Keeps a workflow's history short; the next one begins seconds later. */
const BATCHES = 50;

export async function publishWorkflow(input: PublishInput): Promise<number> {
  const { publish } = proxyActivities<PublishActivities>({
    taskQueue: workflowInfo().taskQueue.replace(/beacon$/, 'publish'),
    startToCloseTimeout: BATCH_TIMEOUT_MS,
    heartbeatTimeout: HEARTBEAT_TIMEOUT_MS,
    retry: { initialInterval: 5_000, maximumInterval: 60_000, maximumAttempts: 3 },
  });
  let tried = 0;
  for (let batch = 0; batch < BATCHES; batch++) {
    const result = await publish(input);
    tried += result.tried;
    if (!result.more) break;
  }
  return tried;
}
