import { Client, Connection } from '@temporalio/client';
import { pause } from '../domain/pause.ts';
import type { Log } from '../observability/log.ts';
import { runLoop, type Loop } from './loop.ts';
import { applySchedule } from './schedule.ts';
import type { TemporalSettings } from './temporal.ts';

/** Names the schedule and its workflows. */
export const SWEEP = 'sweep/golem';
const CALL_TIMEOUT_MS = 10_000;
/** The schedule is looked at again: Temporal's database may have been lost. */
const LOOK_EVERY_MS = 60_000;

/** Keeps the schedule of the sweeper, as long as a worker of Golem runs. */
export function startSweepSchedule(temporal: TemporalSettings, everyMs: number, log: Log): Loop {
  return runLoop({
    name: 'sweep schedule',
    wait: (signal) => pause(LOOK_EVERY_MS, signal),
    async step() {
      await applySweepSchedule(temporal, everyMs);
      return false;
    },
    failed: (error) => log.warn({ err: error }, 'the schedule of the sweeper could not be applied'),
  });
}

export async function applySweepSchedule(
  { address, namespace, taskQueue }: TemporalSettings,
  everyMs: number,
): Promise<void> {
  const connection = await Connection.connect({ address, connectTimeout: CALL_TIMEOUT_MS });
  try {
    await connection.withDeadline(Date.now() + CALL_TIMEOUT_MS, () =>
      applySchedule(new Client({ connection, namespace }).schedule, {
        scheduleId: SWEEP,
        workflowType: 'sweepWorkflow',
        taskQueue,
        args: [],
        everyMs,
      }),
    );
  } finally {
    await connection.close();
  }
}
