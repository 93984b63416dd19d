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
  /** Open jobs in one look at the database; default 500. */
  pageJobs?: number;
}

export function startReconciler(deps: ReconcilerDeps): Loop {
  // Kept between passes, each of which looks at one page: a long backlog is no pass that does not end.
  let walk: ReturnType<typeof unspokenJobs> | undefined;
  return runLoop({
    name: 'reconciler',
    wait: (signal) => pause(walk === undefined ? deps.everyMs : PAGE_REST_MS, signal),
    step: async (signal) => {
      const under = walk ?? unspokenJobs(deps.pool, deps.pageJobs ?? PAGE_JOBS);
      walk = undefined;
      const page = await under.next();
      if (page.done === true) return false;
      await reconcile(deps, page.value, signal);
      walk = under;
      return false;
    },
    failed: (error) => deps.log.warn({ err: error }, 'reconciler pass failed'),
  });
}

export async function reconcileOnce(deps: ReconcilerDeps): Promise<void> {
  for await (const jobs of unspokenJobs(deps.pool, deps.pageJobs ?? PAGE_JOBS)) await reconcile(deps, jobs);
}

async function reconcile(
  { pool, temporal, notifier, log, absentForMs }: ReconcilerDeps,
  jobs: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  for (const jobId of jobs) {
    if (signal?.aborted === true) return;
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
        if (await noteAbsence(pool, jobId, absentForMs)) {
          log.warn({ job_id: jobId }, 'workflow unknown to Temporal, starting it again');
          notifier.notify('outbox');
        }
        break;
    }
  }
}
