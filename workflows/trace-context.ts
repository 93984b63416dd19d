/**
 * Carries the trace of whoever started a workflow to its activities and children, in the header and the form that
 * Temporal's own interceptors for OpenTelemetry use. No span is made here: the workflow's own is told to the worker at its
 * end, under an id that is the same in every replay, and its activities name that id as their parent before. A workflow
 * that was started without a trace does nothing of this. Headers are no part of what a replay compares.
 */
import {
  ContinueAsNew,
  defaultPayloadConverter,
  inWorkflowContext,
  isCancellation,
  proxySinks,
  uuid4,
  workflowInfo,
  type Payload,
  type Sinks,
  type WorkflowInterceptors,
} from '@temporalio/workflow';

/** What the header holds, beside what others may write there. */
export interface TraceCarrier {
  traceparent?: string;
}

export interface EndedWorkflow {
  spanId: string;
  /** Whoever started it. */
  parent: string;
  startMs: number;
  /** Of the error that ended it. */
  error?: string;
}

export interface TraceSinks extends Sinks {
  traces: { workflowEnded(ended: EndedWorkflow): void };
}

export const TRACE_HEADER = '_tracer-data';
const SPAN_ID_DIGITS = 16;
const SAMPLED = /1$/;

export const interceptors = (): WorkflowInterceptors => {
  let header: Payload | undefined;
  const withHeader = <T extends { headers: Record<string, Payload> }>(input: T): T =>
    header === undefined ? input : { ...input, headers: { ...input.headers, [TRACE_HEADER]: header } };
  return {
    inbound: [
      {
        async execute(input, next) {
          const parent = parentIn(input.headers[TRACE_HEADER]);
          if (parent === undefined) return next(input);
          const spanId = uuid4().replaceAll('-', '').slice(0, SPAN_ID_DIGITS);
          const [version = '', traceId = '', , flags = ''] = parent.split('-');
          const carrier: TraceCarrier = { traceparent: [version, traceId, spanId, flags].join('-') };
          header = defaultPayloadConverter.toPayload(carrier);
          let error: string | undefined;
          try {
            return await next(input);
          } catch (thrown) {
            if (!(thrown instanceof ContinueAsNew) && !isCancellation(thrown))
              error = thrown instanceof Error ? thrown.name : 'Error';
            throw thrown;
          } finally {
            if (SAMPLED.test(flags) && inWorkflowContext())
              proxySinks<TraceSinks>().traces.workflowEnded({
                spanId,
                parent,
                startMs: workflowInfo().runStartTime.getTime(),
                ...(error === undefined ? {} : { error }),
              });
          }
        },
      },
    ],
    outbound: [
      {
        scheduleActivity: (input, next) => next(withHeader(input)),
        startChildWorkflowExecution: (input, next) => next(withHeader(input)),
      },
    ],
  };
};

/** Undefined where there is none that could be read: the workflow must not fail for it. */
function parentIn(header: Payload | undefined): string | undefined {
  if (header === undefined) return undefined;
  try {
    const { traceparent } = defaultPayloadConverter.fromPayload<TraceCarrier>(header);
    return typeof traceparent === 'string' && /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(traceparent)
      ? traceparent
      : undefined;
  } catch {
    return undefined;
  }
}
