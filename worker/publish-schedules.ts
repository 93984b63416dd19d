import { Client, Connection } from '@temporalio/client';
import type { Log } from '../observability/log.ts';
import { runEvery, type Loop } from './loop.ts';
import { applySchedule } from './schedule.ts';
import type { TemporalSettings } from './temporal.ts';

/** Names of our schedules in Temporal; whatever else begins so was configured once. */
const PREFIX = 'publish/';
const CALL_TIMEOUT_MS = 10_000;
/** The schedules are looked at again: Temporal's database may have been lost. */
const LOOK_EVERY_MS = 60_000;
/** With no place configured, old schedules are removed once. */
const NEVER_MS = 2 ** 31 - 1;

export interface PublishSchedulesOptions {
  temporal: TemporalSettings;
  targets: readonly string[];
  everyMs: number;
  log: Log;
}

/** Keeps one schedule for each configured place, and none for others: with no place nothing is started. */
export function startPublishSchedules(options: PublishSchedulesOptions): Loop {
  const { temporal, targets, everyMs, log } = options;
  return runEvery({
    name: 'publish schedules',
    everyMs: targets.length === 0 ? NEVER_MS : LOOK_EVERY_MS,
    work: () => applySchedules(temporal, targets, everyMs),
    failed: (error) => log.warn({ err: error }, 'the schedules of publishing could not be applied'),
  });
}

export async function applySchedules(
  { address, namespace, taskQueue }: TemporalSettings,
  targets: readonly string[],
  everyMs: number,
): Promise<void> {
  const connection = await Connection.connect({ address, connectTimeout: CALL_TIMEOUT_MS });
  try {
    await connection.withDeadline(Date.now() + CALL_TIMEOUT_MS, async () => {
      const { schedule } = new Client({ connection, namespace });
      const wanted = new Set(targets.map((target) => PREFIX + target));
      for await (const { scheduleId } of schedule.list()) {
        if (scheduleId.startsWith(PREFIX) && !wanted.has(scheduleId))
          await schedule.getHandle(scheduleId).delete();
      }
      for (const target of targets) {
        const scheduleId = PREFIX + target;
        await applySchedule(schedule, {
          scheduleId,
          workflowType: 'publishWorkflow',
          taskQueue,
          args: [{ target }],
          everyMs,
        });
      }
    });
  } finally {
    await connection.close();
  }
}
