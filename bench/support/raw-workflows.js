/** What raw Temporal runs in the comparison: `count` no-op activities, one after the other. */
import { proxyActivities } from '@temporalio/workflow';

const { noop } = proxyActivities({ startToCloseTimeout: 60_000 });

export async function rawWorkflow({ job, plan, count }) {
  for (let index = 0; index < count; index++) await noop({ job, index, timeout_ms: plan.timeout_ms });
}
