import { ApplicationFailure, Context } from '@temporalio/activity';
import type { Backend, Negotiated } from '../backends/backend.ts';
import type { Failure } from '../domain/failure.ts';
import type { Region } from '../domain/jobspec/region.ts';
import type { BusinessEvents } from '../observability/events.ts';
import { activeSpan } from '../observability/tracing.ts';
import { beginNegotiation } from '../store/begin-negotiation.ts';
import type { Pool } from '../store/pool.ts';
import { readTrace } from '../store/work.ts';
import { recordFailedLook, recordLook } from './negotiation.ts';
import { readNeeds } from './work.ts';

export interface NegotiateInput {
  job: string;
  index: number;
  region: Region;
  backend: string;
}

export type NegotiateResult =
  { kind: 'negotiated'; negotiated: Negotiated } | { kind: 'stopped'; reason: 'terminal' | 'cancelled' };

export interface ReleaseInput {
  job: string;
  index: number;
  attempt: number;
  backend: string;
}

export interface NegotiateDeps {
  pool: Pool;
  backends: ReadonlyMap<string, Backend>;
  events: BusinessEvents;
  /** Called after each commit that wrote events. */
  committed(): void;
}

export type NegotiateActivities = ReturnType<typeof createNegotiateActivities>;

const HEARTBEAT_EVERY_MS = 2_000;

export function createNegotiateActivities({ pool, backends, events, committed }: NegotiateDeps) {
  const known = (kind: string): Backend => {
    const backend = backends.get(kind);
    if (backend === undefined)
      throw ApplicationFailure.create({ message: `no backend ${kind} in this worker` });
    return backend;
  };
  return {
    /** Candidates for one attempt, best first; none is an answer too. Costs nothing and leaves nothing behind. */
    async negotiate(input: NegotiateInput): Promise<NegotiateResult> {
      const backend = known(input.backend);
      const begun = await beginNegotiation(pool, { jobId: input.job, index: input.index });
      if (begun.kind === 'stopped') return begun;
      committed();
      const began = performance.now();
      const to = { pool, events, committed };
      const { executionId } = begun;
      const where = { jobId: input.job, executionId, backend: input.backend, region: input.region };
      try {
        const negotiated = (await whileBeating((signal) =>
          backend.negotiate?.(readNeeds({ ...begun.row, region: input.region }), signal),
        )) ?? { candidates: [], seen: 0, dropped: {} };
        activeSpan()?.set({
          'beacon.offers.seen': negotiated.seen,
          'beacon.offers.candidates': negotiated.candidates.length,
        });
        await recordLook(to, where, negotiated, performance.now() - began);
        return { kind: 'negotiated', negotiated };
      } catch (error) {
        // Temporal looks again until the job's deadline; why it waits must be seen before that, and once is enough.
        const failure = failureOf(error);
        if (failure !== undefined && Context.current().info.attempt === 1)
          await recordFailedLook(to, where, failure, performance.now() - began);
        throw error;
      }
    },
    /** Ends whatever an attempt left that was lost, so that it costs nothing any more. */
    async release({ job, index, attempt, backend }: ReleaseInput): Promise<void> {
      const trace = await readTrace(pool, { jobId: job, index, attempt });
      if (trace !== undefined) await whileBeating(() => known(backend).release([trace]));
    },
  };
}

/** Of an error of a backend that says why in words meant to be shown; others are the worker's own. */
function failureOf(error: unknown): Failure | undefined {
  return error instanceof Error && 'failure' in error ? (error.failure as Failure) : undefined;
}

async function whileBeating<T>(
  work: (signal: AbortSignal) => Promise<T> | undefined,
): Promise<T | undefined> {
  const context = Context.current();
  const timer = setInterval(() => context.heartbeat(), HEARTBEAT_EVERY_MS);
  try {
    return await work(context.cancellationSignal);
  } finally {
    clearInterval(timer);
  }
}
