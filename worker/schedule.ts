import { ScheduleNotFoundError, ScheduleOverlapPolicy, type ScheduleClient } from '@temporalio/client';

export interface WantedSchedule {
  scheduleId: string;
  workflowType: string;
  taskQueue: string;
  args: unknown[];
  everyMs: number;
}

/** A schedule that was down starts one workflow, not all that it missed. */
const CATCH_UP = '10s';

/** Makes a schedule, or brings the one that is there up to date. Its workflows never overlap. */
export async function applySchedule(schedule: ScheduleClient, wanted: WantedSchedule): Promise<void> {
  const { scheduleId, workflowType, taskQueue, args, everyMs } = wanted;
  const known = await schedule
    .getHandle(scheduleId)
    .describe()
    .catch((error: unknown) => {
      if (error instanceof ScheduleNotFoundError) return undefined;
      throw error;
    });
  const spec = { intervals: [{ every: everyMs }] };
  const action = { type: 'startWorkflow', workflowType, workflowId: scheduleId, taskQueue, args } as const;
  const policies = { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: CATCH_UP } as const;
  if (known === undefined) await schedule.create({ scheduleId, spec, action, policies });
  else if (known.spec.intervals?.[0]?.every !== everyMs)
    await schedule.getHandle(scheduleId).update((previous) => ({
      ...previous,
      spec,
      action,
      policies: { ...previous.policies, ...policies },
    }));
}
