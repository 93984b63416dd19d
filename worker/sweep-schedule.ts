import { Client, Connection, ScheduleNotFoundError } from '@temporalio/client';
import type { Log } from '../observability/log.ts';
import { readBreakers } from '../store/breakers.ts';
import type { Pool } from '../store/pool.ts';
import { runEvery, type Loop } from './loop.ts';
import { applySchedule } from './schedule.ts';
import type { TemporalSettings } from './temporal.ts';

/** Names the schedule and its workflows. */
export const SWEEP = 'sweep/golem';
const CALL_TIMEOUT_MS = 10_000;
/** The schedule is looked at again: Temporal's database may have been lost. */
const LOOK_EVERY_MS = 60_000;
/** A worker that starts makes the schedule again at once, so nothing is lost by looking while there is none. */
const RETIRE_EVERY_MS = 5 * 60_000;

/** Keeps the schedule of the sweeper, as long as a worker of Golem runs. */
export function startSweepSchedule(temporal: TemporalSettings, everyMs: number, log: Log): Loop {
  return runEvery({
    name: 'sweep schedule',
    everyMs: LOOK_EVERY_MS,
    work: () => applySweepSchedule(temporal, everyMs),
    failed: (error) => log.warn({ err: error }, 'the schedule of the sweeper could not be applied'),
  });
}

/** Golem is switched off where no worker of it reports: then nothing is swept, and nobody would take the sweeps. */
export function startSweepRetirement(temporal: TemporalSettings, pool: Pool, log: Log): Loop {
  return runEvery({
    name: 'sweep retirement',
    everyMs: RETIRE_EVERY_MS,
    work: () => retireSweepSchedule(temporal, pool),
    failed: (error) => log.warn({ err: error }, 'the schedule of the sweeper could not be removed'),
  });
}

/** Whether there was nobody to sweep; a schedule that is gone already is success. */
export async function retireSweepSchedule(temporal: TemporalSettings, pool: Pool): Promise<boolean> {
  if ((await readBreakers(pool)).some(({ name }) => name === 'yagna')) return false;
  await asClient(temporal, async ({ schedule }) => {
    await schedule
      .getHandle(SWEEP)
      .delete()
      .catch((error: unknown) => {
        if (!(error instanceof ScheduleNotFoundError)) throw error;
      });
  });
  return true;
}

export function applySweepSchedule(temporal: TemporalSettings, everyMs: number): Promise<void> {
  const { taskQueue } = temporal;
  return asClient(temporal, ({ schedule }) =>
    applySchedule(schedule, {
      scheduleId: SWEEP,
      workflowType: 'sweepWorkflow',
      taskQueue,
      args: [],
      everyMs,
    }),
  );
}

async function asClient(
  { address, namespace }: TemporalSettings,
  work: (client: Client) => Promise<void>,
): Promise<void> {
  const connection = await Connection.connect({ address, connectTimeout: CALL_TIMEOUT_MS });
  try {
    await connection.withDeadline(Date.now() + CALL_TIMEOUT_MS, () =>
      work(new Client({ connection, namespace })),
    );
  } finally {
    await connection.close();
  }
}
