/**
 * The life of a job (docs/architecture.md): its executions run, at most `plan.max_parallel` at once; each ends by
 * `attest`, and the one that ends last ends the job in the same transaction, so this workflow has no closing step.
 * Left early by: a cancellation of the workflow, a stop that `execute` reports (the cancel flag in the database came
 * first), or the deadline timer. Then whatever is under way is cancelled and waited for, and what has no receipt yet is
 * attested in lots. The workflow itself always closes as completed.
 */
import {
  CancellationScope,
  ChildWorkflowCancellationType,
  executeChild,
  isCancellation,
  ParentClosePolicy,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { Plan } from '../domain/jobspec/plan.ts';
import type { AttestInput } from '../activities/attest.ts';
import { runExecution } from './execution.ts';
import { attest } from './steps.ts';

export interface JobInput {
  job: string;
  plan: Plan;
}

/** Executions that one workflow runs itself; above that, children of this size. Bounds the history (`test/histories`). */
const PART_SIZE = 50;
/** Children under way at once. */
const PARTS_PARALLEL = 2;
/** Executions that one `attest` may end. */
const ATTEST_LOT = 50;

export async function jobWorkflow({ job, plan }: JobInput): Promise<void> {
  const size = plan.executions.length;
  let reason: AttestInput['reason'] = 'cancelled';
  const left = new Set(Array.from({ length: size }, (_, index) => index));
  const work = new CancellationScope();
  const deadline = new CancellationScope();
  // Handled at once, so that a rejection never stands alone while the work is still waited for.
  const expiry = deadline
    .run(() => sleep(plan.deadline_ms))
    .then(() => {
      reason = 'expired';
      work.cancel();
    })
    .catch((error: unknown) => {
      if (!isCancellation(error)) throw error;
    });
  try {
    await work.run(() =>
      size <= PART_SIZE ? runRange({ job, plan, from: 0, to: size }, left) : runParts(job, plan, left),
    );
  } catch (error) {
    if (!isCancellation(error)) throw error;
  }
  deadline.cancel();
  await expiry;
  const rest = [...left];
  for (let at = 0; at < rest.length; at += ATTEST_LOT) {
    await attest({ job, indexes: rest.slice(at, at + ATTEST_LOT), reason });
  }
}

export interface JobPartInput extends JobInput {
  from: number;
  to: number;
}

/** A part of a large job; answers which executions it left unattested because it was told to stop. */
export async function jobPartWorkflow(input: JobPartInput): Promise<number[]> {
  const left = new Set(Array.from({ length: input.to - input.from }, (_, index) => input.from + index));
  try {
    await runRange(input, left);
  } catch (error) {
    if (!isCancellation(error)) throw error;
  }
  return [...left];
}

async function runParts(job: string, plan: Plan, left: Set<number>): Promise<void> {
  const parts: JobPartInput[] = [];
  const share = { ...plan, max_parallel: Math.max(1, Math.floor(plan.max_parallel / PARTS_PARALLEL)) };
  for (let from = 0; from < plan.executions.length; from += PART_SIZE) {
    parts.push({ job, plan: share, from, to: Math.min(from + PART_SIZE, plan.executions.length) });
  }
  await inParallel(PARTS_PARALLEL, parts, async (part) => {
    const unattested = await executeChild(jobPartWorkflow, {
      workflowId: `${workflowInfo().workflowId}/${part.from / PART_SIZE}`,
      args: [part],
      cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
    });
    for (let index = part.from; index < part.to; index++) left.delete(index);
    for (const index of unattested) left.add(index);
    if (unattested.length > 0) CancellationScope.current().cancel();
  });
}

async function runRange({ job, plan, from, to }: JobPartInput, left: Set<number>): Promise<void> {
  const scope = CancellationScope.current();
  const indexes = Array.from({ length: to - from }, (_, at) => from + at);
  await inParallel(plan.max_parallel, indexes, async (index) => {
    const end = await runExecution(job, plan, index);
    if (end === 'attested') left.delete(index);
    else scope.cancel();
  });
}

/** Runs `work` over `items`, at most `limit` at once, starts no more once the scope is cancelled, and waits for all. */
async function inParallel<T>(
  limit: number,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const scope = CancellationScope.current();
  let next = 0;
  const lanes = Array.from({ length: Math.min(limit, items.length) }, async () => {
    while (next < items.length && !scope.consideredCancelled) {
      const item = items[next++];
      if (item !== undefined) await work(item);
    }
  });
  for (const lane of await Promise.allSettled(lanes)) {
    if (lane.status === 'rejected') throw lane.reason;
  }
}
