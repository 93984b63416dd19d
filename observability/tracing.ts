/**
 * Spans, as the rest of the product sees them. Nothing here knows OpenTelemetry: `otel/start.ts` brings it in where traces
 * are exported, and everywhere else a span is `undefined` and work is just done.
 */
export type Attributes = Readonly<Record<string, string | number | boolean>>;

export interface Span {
  /** W3C trace context of this span, for other processes. */
  readonly traceparent: string;
  set(attributes: Attributes): void;
  event(name: string, attributes?: Attributes): void;
  link(traceparent: string, attributes?: Attributes): void;
  /** `type` is a code of a closed set, never a message: messages quote what jobs wrote. */
  fail(type: string): void;
  /** Unix milliseconds; default now. */
  end(atMs?: number): void;
}

export interface SpanOptions {
  kind?: 'internal' | 'server' | 'client' | 'producer' | 'consumer';
  attributes?: Attributes;
  /** W3C trace context of the parent; null: the span begins a trace. Default: the active span. */
  parent?: string | null | undefined;
  /** W3C trace contexts. */
  links?: readonly string[];
  /** Unix milliseconds; default now. */
  startMs?: number;
  /** Given where other processes named this span as their parent before it was written. */
  spanId?: string;
}

export interface Tracing {
  start(name: string, options: SpanOptions): Span;
  /** Does `work` with the span as the active one. */
  within<T>(span: Span, work: () => T): T;
  /** Undefined also when it has ended. */
  active(): Span | undefined;
  /** For log lines. */
  ids(): { trace_id: string; span_id: string } | undefined;
}

let current: Tracing | undefined;

/** Undefined = no spans are written. */
export const tracing = (): Tracing | undefined => current;

export function useTracing(next: Tracing | undefined): void {
  current = next;
}

export const activeSpan = (): Span | undefined => current?.active();

/** Does `work` in a span, which fails where `work` throws, unless that was meant to happen. */
export async function inSpan<T>(
  name: string,
  options: SpanOptions,
  work: (span: Span | undefined) => Promise<T>,
): Promise<T> {
  if (current === undefined) return work(undefined);
  const span = current.start(name, options);
  try {
    return await current.within(span, () => work(span));
  } catch (error) {
    if (isExpected(error)) span.set({ 'beacon.refused': typeOf(error) });
    else span.fail(typeOf(error));
    throw error;
  } finally {
    span.end();
  }
}

const WORD = /^[\w.:-]{1,64}$/;

/** Of an error, its code or that of the failure that it carries, else its name. */
export function typeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const { code, type, failure } = error as { code?: unknown; type?: unknown; failure?: { code?: unknown } };
  const found = [code, type, failure?.code, error.name].find(
    (value) => typeof value === 'string' && WORD.test(value),
  );
  return typeof found === 'string' ? found : 'Error';
}

/** Cancelled, or refused as Temporal's category BENIGN has it. */
function isExpected(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (['AbortError', 'CancelledFailure', 'CancelError'].includes(error.name)) return true;
  return 'category' in error && error.category === 'BENIGN';
}
