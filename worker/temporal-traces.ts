/**
 * Traces over Temporal: whoever starts a workflow puts the active span into its header, the workflow passes it on
 * (workflows/trace-context.ts), and here is a span for each time that an activity is tried. Where no traces are written a
 * worker still passes on what came; and one that writes them begins a trace for what came without.
 */
import { defaultPayloadConverter, type Headers } from '@temporalio/common';
import type { WorkflowClientInterceptor } from '@temporalio/client';
import type { ActivityInterceptorsFactory, InjectedSinks } from '@temporalio/worker';
import { activeSpan, inSpan, tracing, type Attributes } from '../observability/tracing.ts';
import type { TraceCarrier, TraceSinks } from '../workflows/trace-context.ts';

/** As Temporal's own interceptors for OpenTelemetry have it, in all languages. */
const TRACE_HEADER = '_tracer-data';

export const startInterceptor: WorkflowClientInterceptor = {
  startWithDetails(input, next) {
    const traceparent = activeSpan()?.traceparent;
    if (traceparent === undefined) return next(input);
    const carrier: TraceCarrier = { traceparent };
    const header = { [TRACE_HEADER]: defaultPayloadConverter.toPayload(carrier) };
    return next({ ...input, headers: { ...input.headers, ...header } });
  },
};

export const activityInterceptors: ActivityInterceptorsFactory = ({ info }) => ({
  inbound: {
    execute(input, next) {
      if (tracing() === undefined) return next(input);
      return inSpan(
        `RunActivity:${info.activityType}`,
        {
          kind: 'consumer',
          parent: parentIn(input.headers),
          attributes: {
            'temporal.activity.type': info.activityType,
            'temporal.activity.attempt': info.attempt,
            'temporal.workflow.id': info.workflowExecution?.workflowId ?? '',
            'temporal.workflow.run_id': info.workflowExecution?.runId ?? '',
            'temporal.task_queue': info.taskQueue,
            ...namesIn(input.args[0]),
          },
        },
        () => next(input),
      );
    },
  },
});

/** Always there: the bundle calls it for what was started in a trace, also in a worker that writes none. */
export const traceSinks: InjectedSinks<TraceSinks> = {
  traces: {
    workflowEnded: {
      callDuringReplay: false,
      fn({ workflowId, workflowType, runId }, { spanId, parent, startMs, error }) {
        const span = tracing()?.start(`RunWorkflow:${workflowType}`, {
          kind: 'consumer',
          parent,
          spanId,
          startMs,
          attributes: { 'temporal.workflow.id': workflowId, 'temporal.workflow.run_id': runId },
        });
        if (error !== undefined) span?.fail(error);
        span?.end();
      },
    },
  },
};

/** Only what names the work, never what is worked on. */
const NAMES = {
  job: 'beacon.job.id',
  index: 'beacon.execution.index',
  attempt: 'beacon.attempt',
  region: 'beacon.region',
  backend: 'beacon.backend',
  target: 'beacon.target',
} as const;

function namesIn(input: unknown): Attributes {
  if (typeof input !== 'object' || input === null) return {};
  const found: Record<string, string | number> = {};
  for (const [key, attribute] of Object.entries(NAMES)) {
    const value = (input as Record<string, unknown>)[key];
    if (typeof value === 'string' || typeof value === 'number') found[attribute] = value;
  }
  return found;
}

function parentIn(headers: Headers): string | null {
  const header = headers[TRACE_HEADER];
  if (header === undefined) return null;
  try {
    return defaultPayloadConverter.fromPayload<TraceCarrier>(header).traceparent ?? null;
  } catch {
    return null;
  }
}
