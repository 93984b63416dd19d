/**
 * The reconciler: looks whether Temporal still knows the workflow of every job that has not ended.
 *   open     nothing to do
 *   unknown  on the second look in a row, apart in time, the start row is put back (Temporal lost its data)
 *   closed   without having ended the job: a repair ends it
 * Unreachable is not unknown: the pass stops and comes again. It holds no key and ends nothing itself.
 */
import { pause } from '../domain/pause.ts';
import type { Log } from '../observability/log.ts';
import type { Notifier } from '../store/notify.ts';
import { requestRepair } from '../store/outbox.ts';
import type { Pool } from '../store/pool.ts';
import { forgetAbsence, noteAbsence, unspokenJobs } from '../store/reconcile.ts';
import { runLoop, type Loop } from './loop.ts';
import type { WorkflowStarter } from './temporal.ts';

const PAGE_JOBS = 500;
/** Between two pages: a walk through a long backlog takes a tenth of one core of the database. */
const PAGE_REST_MS = 50;

export interface ReconcilerDeps {
  pool: Pool;
  notifier: Notifier;
  temporal: WorkflowStarter;
  log: Log;
  /** Time between passes; default one minute. */
  everyMs: number;
  /** How long a workflow must have been unknown; default 30 s. */
  absentForMs: number;
}

export function startReconciler(deps: ReconcilerDeps): Loop {
  return runLoop({
    name: 'reconciler',
    wait: (signal) => pause(deps.everyMs, signal),
    step: async (signal) => {
      await reconcileOnce(deps, signal);
      return false;
    },
    failed: (error) => deps.log.warn({ err: error }, 'reconciler pass failed'),
  });
}

export async function reconcileOnce(
  deps: ReconcilerDeps,
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  const { pool, temporal, notifier, log } = deps;
  for await (const jobs of unspokenJobs(pool, PAGE_JOBS)) {
    for (const jobId of jobs) {
      if (signal.aborted) return;
      switch (await temporal.look(`job-${jobId}`)) {
        case 'open':
          await forgetAbsence(pool, jobId);
          break;
        case 'closed':
          log.warn({ job_id: jobId }, 'workflow closed without ending its job, repairing');
          await requestRepair(pool, jobId);
          notifier.notify('outbox');
          break;
        case 'unknown':
          if (await noteAbsence(pool, jobId, deps.absentForMs)) {
            log.warn({ job_id: jobId }, 'workflow unknown to Temporal, starting it again');
            notifier.notify('outbox');
          }
          break;
      }
    }
    await pause(PAGE_REST_MS, signal);
    if (signal.aborted) return;
  }
}
