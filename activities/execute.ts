import { ApplicationFailure, Context } from '@temporalio/activity';
import type { Backend, Negotiated, Outcome, Step } from '../backends/backend.ts';
import { HandedBack } from '../domain/handed-back.ts';
import { negotiates } from '../domain/backend-kinds.ts';
import { failure, type FailureCode } from '../domain/failure.ts';
import type { Region } from '../domain/jobspec/region.ts';
import type { BusinessEvents } from '../observability/events.ts';
import { activeSpan } from '../observability/tracing.ts';
import type { Pool } from '../store/pool.ts';
import { appendAttemptLogs } from '../store/attempt-logs.ts';
import { pinImage } from '../store/job-images.ts';
import { beginAttempt } from '../store/begin-attempt.ts';
import { recordExternalIds, type WorkRow } from '../store/work.ts';
import { createAttemptLog } from './attempt-log.ts';
import type { Attester } from './attester.ts';
import { createBudget } from './budget.ts';
import { recordTalks } from './negotiation.ts';
import { bridged } from './bridged.ts';
import { noteResult, outsideIds, tracePhases } from './attempt-trace.ts';
import { stageBytes, type HeldBytes } from './stage-bytes.ts';
import { stageAttempt, stageCancelled, stageLost } from './stage-outcome.ts';
import { readWork } from './work.ts';

export interface ExecuteInput {
  job: string;
  index: number;
  attempt: number;
  region: Region;
  backend: string;
  timeout_ms: number;
  provider_timeout_ms: number;
  /** Of backends that negotiate. */
  negotiated?: Negotiated;
}

export type ExecuteResult =
  /** The attempt succeeded: attest it. */
  | { kind: 'staged'; attempt: number }
  /** The attempt succeeded, and its execution has ended with it. */
  | { kind: 'attested' }
  | { kind: 'failed'; attempt: number; code: FailureCode; retryable: boolean }
  /** The attempt's worker went away; `next` is the number to go on with. `known`: it was found lost, not lost now. */
  | { kind: 'lost'; next: number; known?: boolean }
  | { kind: 'stopped'; reason: 'terminal' | 'cancelled' };

export interface ExecuteDeps {
  pool: Pool;
  backends: ReadonlyMap<string, Backend>;
  /** Ends an execution together with its successful attempt; absent where there is no receipt key. */
  attester?: Attester | undefined;
  events: BusinessEvents;
  /** Called after each commit that wrote events. */
  committed(): void;
}

/** From a timer of its own, independent of the work (spec: core §5). */
const HEARTBEAT_EVERY_MS = 2_000;

/** The attempt was fenced off while it ran: another one goes on, this one writes nothing. */
class FencedOff extends Error {
  override name = 'FencedOff';
}

export type ExecuteActivities = ReturnType<typeof createExecuteActivities>;

export function createExecuteActivities(deps: ExecuteDeps) {
  return {
    /** One attempt at one place. Repeating a call never runs the work twice under one attempt number. */
    async execute(input: ExecuteInput): Promise<ExecuteResult> {
      return noteResult(await execute(deps, input));
    },
  };
}

async function execute(deps: ExecuteDeps, input: ExecuteInput): Promise<ExecuteResult> {
  const { pool, backends, events, committed } = deps;
  const backend = backends.get(input.backend);
  if (backend === undefined)
    throw ApplicationFailure.create({ message: `no backend ${input.backend} in this worker` });
  const begun = await beginAttempt(pool, {
    jobId: input.job,
    index: input.index,
    attempt: input.attempt,
    backend: input.backend,
    region: input.region,
    timeoutMs: input.timeout_ms,
    providerTimeoutMs: input.provider_timeout_ms,
  });
  committed();
  switch (begun.kind) {
    case 'stopped':
      return begun;
    case 'staged': {
      const { attempt, failure: why } = begun.attempt;
      return why === null
        ? { kind: 'staged', attempt }
        : { kind: 'failed', attempt, code: why.code, retryable: why.retryable };
    }
    case 'lost':
      // A backend that negotiates is released by a step of its own, which the workflow waits for.
      if (!negotiates(input.backend)) await backend.release([{ name: begun.name, ids: {} }]);
      return { kind: 'lost', next: begun.next, known: begun.known };
    case 'begun': {
      const { work, job } = begun;
      if (job.startedNow)
        events.jobStarted({ jobId: input.job, region: input.region, waitedMs: job.waitedMs });
      events.executionStarted({
        executionId: work.executionId,
        jobId: input.job,
        attempt: input.attempt,
        region: input.region,
      });
      return runAttempt(deps, backend, input, work);
    }
  }
}

const placeOf = ({ backend, region }: ExecuteInput) => ({ backend, region });

async function runAttempt(
  { pool, attester, events, committed }: ExecuteDeps,
  backend: Backend,
  input: ExecuteInput,
  row: WorkRow,
): Promise<ExecuteResult> {
  const context = Context.current();
  const span = activeSpan();
  span?.set({ 'beacon.execution.id': row.executionId });
  const phases = tracePhases(input.backend);
  let phase = 'starting';
  const beat = (): void => context.heartbeat({ phase });
  const timer = setInterval(beat, HEARTBEAT_EVERY_MS);
  const stop = new AbortController();
  const signal = AbortSignal.any([context.cancellationSignal, stop.signal]);
  const lines = createAttemptLog((rows) => appendAttemptLogs(pool, row, rows));
  const held: HeldBytes = new Map();
  const staging = { pool, jobId: input.job, row, held, attester, events };
  const fencedOff = (): never => {
    const fenced = new FencedOff(`attempt ${row.attempt} of ${row.executionId} was fenced off`);
    stop.abort(fenced);
    throw fenced;
  };
  const step: Step = {
    pinImage: (image, digest) => bridged(() => pinImage(pool, input.job, image, digest)),
    signal,
    budgetMs: row.budgetMs,
    heartbeat(next) {
      phase = next;
      phases.enter(next);
      beat();
    },
    negotiated: (talks) =>
      recordTalks(
        { pool, events, committed },
        { jobId: input.job, executionId: row.executionId, attempt: row.attempt, ...placeOf(input) },
        talks,
      ),
    ...createBudget({
      pool,
      jobId: input.job,
      row,
      maxCost: () => readWork(row).asked.maxCost,
      fencedOff,
      committed,
    }),
    log: (line) => lines.add(line),
    store: (bytes) => stageBytes(pool, bytes, held),
    async record(ids) {
      span?.set(outsideIds(ids));
      if (!(await bridged(() => recordExternalIds(pool, row, ids)))) fencedOff();
    },
  };
  try {
    let outcome: Outcome | undefined;
    let broken: unknown;
    try {
      if (row.budgetMs > 0) {
        const { negotiated } = input;
        outcome = await backend.execute(
          { ...readWork(row), ...(negotiated === undefined ? {} : { negotiated }) },
          step,
        );
      }
    } catch (error) {
      broken = error;
    } finally {
      phases.end();
      await lines[Symbol.asyncDispose]();
    }
    if (broken instanceof FencedOff) return { kind: 'lost', next: input.attempt + 1 };
    if (broken instanceof HandedBack && !context.cancellationSignal.aborted) {
      await stageLost(staging);
      return { kind: 'lost', next: input.attempt + 1 };
    }
    if (outcome === undefined && context.cancellationSignal.aborted) {
      // Only a request to cancel ends the execution. A worker that shuts down, or that Temporal gave up, hands it back.
      if (context.cancellationDetails?.cancelRequested !== true) {
        await stageLost(staging);
        return { kind: 'lost', next: input.attempt + 1 };
      }
      await stageCancelled(staging);
      await context.cancelled;
    }
    const why =
      outcome === undefined
        ? row.budgetMs > 0
          ? failure(
              'backend_error',
              `${input.backend}: ${broken instanceof Error ? broken.message : String(broken)}`,
            )
          : failure('execution_timeout', `no running time is left of ${input.timeout_ms} ms`)
        : outcome.failure;
    const durationMs = outcome?.durationMs ?? null;
    events.attemptEnded({ ...placeOf(input), failed: why !== undefined, durationMs });
    const kept = await stageAttempt(staging, outcome, why);
    if (kept === 'attested') return { kind: 'attested' };
    if (kept === 'fenced') return { kind: 'lost', next: input.attempt + 1 };
    if (why === undefined) return { kind: 'staged', attempt: input.attempt };
    committed();
    events.attemptFailed({
      executionId: row.executionId,
      attempt: input.attempt,
      code: why.code,
      message: why.message,
    });
    return { kind: 'failed', attempt: input.attempt, code: why.code, retryable: why.retryable };
  } finally {
    clearInterval(timer);
  }
}
