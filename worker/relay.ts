/**
 * The relay: tells Temporal what the database has decided.
 *   waiting  start rows not yet sent; admitted by window, one key after the other
 *   sent     Temporal took it; the row stays until the job's first step commits, and is sent again after 30 s
 *   gone     with the first step (start), or with Temporal's answer (cancel, repair)
 *   quarantined  Temporal calls the request invalid: kept with the reason, tried again every hour; a cancel ends the job
 * A crash between sending and marking repeats the sending, which the deterministic workflow id absorbs.
 */
import { pause } from '../domain/pause.ts';
import type { BusinessEvents } from '../observability/events.ts';
import { inSpan, type SpanOptions } from '../observability/tracing.ts';
import type { Wakeups } from '../store/notify.ts';
import {
  claimOutbox,
  delayCancel,
  dropOutbox,
  markOutboxFailed,
  markStartsSent,
  requestRepair,
  type OutboxRow,
} from '../store/outbox.ts';
import { countLiveProcesses } from '../store/processes.ts';
import type { Pool } from '../store/pool.ts';
import { runLoop, type Loop } from './loop.ts';
import { isRetryable, type WorkflowStarter } from './temporal.ts';

const POLL_MS = 500;
/**
 * Rest after a pass that left the window full: a pass for each notification of a busy intake would start nothing and
 * cost the database more than the submits.
 */
const FULL_REST_MS = 100;
/** The same where not one start was let in. */
const STUCK_REST_MS = 250;
const CLAIM_BATCH = 100;
/** A relay that dies holding a lease blocks its rows no longer than this. */
const LEASE_MS = 15_000;
/** A start without a first step of its job is sent again after this. */
const RESEND_MS = 30_000;
const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 30_000;
const QUARANTINE_MS = 3_600_000;
/** Starts under way at once. */
const PARALLEL = 16;

export interface RelayDeps {
  pool: Pool;
  wakeups: Wakeups;
  temporal: WorkflowStarter;
  events: BusinessEvents;
  /** Jobs open in Temporal per connected worker. */
  workflowWindow: number;
}

export function startRelay(deps: RelayDeps): Loop {
  deps.events.outboxStarted();
  let last: Pass | undefined;
  return runLoop({
    name: 'relay',
    async wait(signal) {
      if (last?.full === true) await pause(last.told === 0 ? STUCK_REST_MS : FULL_REST_MS, signal);
      // Jobs that were let in may have ended meanwhile, and their end is no notification.
      if (last?.full !== true || last.told === 0) await deps.wakeups.next('outbox', POLL_MS, signal);
    },
    async step() {
      last = await relayOnce(deps);
      return last.told >= CLAIM_BATCH;
    },
    failed: (error) => deps.events.outboxMarkError({ error }),
  });
}

export interface Pass {
  /** Rows that Temporal was told of, or that will be tried again. */
  told: number;
  /** The window has no room left. */
  full: boolean;
}

export async function relayOnce({ pool, temporal, events, workflowWindow }: RelayDeps): Promise<Pass> {
  const workers = Math.max(1, await countLiveProcesses(pool, 'worker'));
  const { rows, full } = await claimOutbox(pool, {
    window: workflowWindow * workers,
    batch: CLAIM_BATCH,
    leaseMs: LEASE_MS,
  });
  const sent: number[] = [];
  const done: number[] = [];
  const queue = [...rows];
  await Promise.all(
    Array.from({ length: Math.min(PARALLEL, queue.length) }, async () => {
      for (let row = queue.shift(); row !== undefined; row = queue.shift()) {
        try {
          const told = row;
          const answer = await inSpan(SPANS[row.kind], spanOf(row), () => tell(temporal, told));
          if (answer === 'closed') await requestRepair(pool, row.jobId);
          else if (answer !== 'gone' || !(await delayCancel(pool, row.id, backoffMs(row))))
            (row.kind === 'start' ? sent : done).push(row.id);
        } catch (error) {
          events.outboxEnqueueError({ jobId: row.jobId, kind: row.kind, error });
          const invalid = !isRetryable(error);
          const delayMs = invalid ? QUARANTINE_MS : backoffMs(row);
          await markOutboxFailed(pool, row.id, String(error), delayMs, invalid);
        }
      }
    }),
  );
  if (sent.length > 0) await markStartsSent(pool, sent, RESEND_MS);
  if (done.length > 0) await dropOutbox(pool, done);
  if (sent.length + done.length > 0) events.outboxPublished(sent.length + done.length);
  return { told: rows.length, full };
}

function backoffMs({ failures }: OutboxRow): number {
  return Math.min(BACKOFF_MIN_MS * 2 ** failures, BACKOFF_MAX_MS);
}

const SPANS = {
  start: 'StartWorkflow:jobWorkflow',
  cancel: 'CancelWorkflow:jobWorkflow',
  repair: 'StartWorkflow:repairWorkflow',
} as const satisfies Record<OutboxRow['kind'], string>;

/** In the trace of the request that submitted the job; a job that came without one begins one. */
function spanOf({ jobId, sends, traceparent }: OutboxRow): SpanOptions {
  const attributes = { 'beacon.job.id': jobId, 'beacon.outbox.sends': sends };
  return { kind: 'producer', parent: traceparent, attributes };
}

/** `gone` = there is no workflow to cancel: it has ended, or its start is still under way. */
async function tell(temporal: WorkflowStarter, row: OutboxRow): Promise<'told' | 'closed' | 'gone'> {
  switch (row.kind) {
    case 'start':
      return (await temporal.start(
        'jobWorkflow',
        `job-${row.jobId}`,
        { job: row.jobId, plan: row.plan },
        { fairnessKey: row.owner },
      )) === 'closed'
        ? 'closed'
        : 'told';
    case 'cancel':
      return (await temporal.cancel(`job-${row.jobId}`)) === 'gone' ? 'gone' : 'told';
    case 'repair':
      await temporal.start(
        'repairWorkflow',
        `repair/${row.jobId}`,
        { job: row.jobId },
        { fairnessKey: row.owner, again: true },
      );
      return 'told';
  }
}
