/** Our spans by OpenTelemetry's. */
import {
  context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
  type Link,
  type Span as OtelSpan,
  type Tracer,
} from '@opentelemetry/api';
import type { Span, SpanOptions, Tracing } from '../tracing.ts';
import { formatTraceparent, readTraceparent } from './traceparent.ts';

const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
};

export interface SpanIds {
  /** The next span that begins has this id. */
  next: string | undefined;
}

/** `ids` is what the tracer takes its span ids from. */
export function otelTracing(tracer: Tracer, ids: SpanIds): Tracing {
  const ours = new WeakMap<OtelSpan, Span>();
  const theirs = new WeakMap<Span, OtelSpan>();
  const ended = new WeakSet<OtelSpan>();
  const wrap = (span: OtelSpan): Span => {
    const known = ours.get(span);
    if (known !== undefined) return known;
    const made = wrapped(span, ended);
    ours.set(span, made);
    theirs.set(made, span);
    return made;
  };
  return {
    start(name, { kind = 'internal', attributes = {}, parent, links = [], startMs, spanId }) {
      ids.next = spanId;
      try {
        return wrap(
          tracer.startSpan(
            name,
            {
              kind: KINDS[kind],
              attributes: { ...attributes },
              links: links.flatMap(linkTo),
              ...(startMs === undefined ? {} : { startTime: startMs }),
            },
            contextOf(parent),
          ),
        );
      } finally {
        ids.next = undefined;
      }
    },
    within(span, work) {
      const of = theirs.get(span);
      return of === undefined ? work() : context.with(trace.setSpan(context.active(), of), work);
    },
    active() {
      const span = openSpan(ended);
      return span === undefined ? undefined : wrap(span);
    },
    ids() {
      const found = openSpan(ended)?.spanContext();
      return found === undefined ? undefined : { trace_id: found.traceId, span_id: found.spanId };
    },
  };
}

/** What outlives the work that it was begun for (a connection, a timer) must not be told as a part of it. */
function openSpan(ended: WeakSet<OtelSpan>): OtelSpan | undefined {
  const span = trace.getActiveSpan();
  return span === undefined || ended.has(span) ? undefined : span;
}

/** A parent that is no trace context is no parent: a new trace begins, as the W3C has it. */
function contextOf(parent: SpanOptions['parent']): Context {
  if (parent === undefined) return context.active();
  const remote = parent === null ? undefined : readTraceparent(parent);
  return remote === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote);
}

function linkTo(traceparent: string): Link[] {
  const found = readTraceparent(traceparent);
  return found === undefined ? [] : [{ context: found }];
}

function wrapped(span: OtelSpan, ended: WeakSet<OtelSpan>): Span {
  return {
    traceparent: formatTraceparent(span.spanContext()),
    set: (attributes) => void span.setAttributes({ ...attributes }),
    event: (name, attributes = {}) => void span.addEvent(name, { ...attributes }),
    link(traceparent, attributes = {}) {
      for (const link of linkTo(traceparent)) span.addLink({ ...link, attributes: { ...attributes } });
    },
    fail: (type) => void span.setAttribute('error.type', type).setStatus({ code: SpanStatusCode.ERROR }),
    end(atMs) {
      ended.add(span);
      span.end(atMs);
    },
  };
}
