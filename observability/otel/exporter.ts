import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { Log } from '../log.ts';

type Done = Parameters<SpanExporter['export']>[1];

/**
 * An exporter that says once that it cannot export, and once that it can again. What it could not send is lost: traces are
 * never worth a job.
 */
export class ToldOnce implements SpanExporter {
  readonly #inner: SpanExporter;
  readonly #log: Log;
  readonly #endpoint: string;
  #lost: number | undefined;

  constructor(inner: SpanExporter, endpoint: string, log: Log) {
    this.#inner = inner;
    this.#endpoint = endpoint;
    this.#log = log;
  }

  export(spans: ReadableSpan[], done: Done): void {
    this.#inner.export(spans, (result) => {
      this.#tell(result.error, spans.length);
      done(result);
    });
  }

  #tell(error: Error | undefined, spans: number): void {
    if (error === undefined) {
      if (this.#lost !== undefined)
        this.#log.info({ lost_spans: this.#lost }, 'traces can be exported again');
      this.#lost = undefined;
      return;
    }
    if (this.#lost === undefined)
      this.#log.warn(
        { reason: error.message },
        `traces cannot be exported to ${this.#endpoint} (OTEL_EXPORTER_OTLP_ENDPOINT); their spans are lost, and this is said once`,
      );
    this.#lost = (this.#lost ?? 0) + spans;
  }

  forceFlush(): Promise<void> {
    return this.#inner.forceFlush?.() ?? Promise.resolve();
  }

  shutdown(): Promise<void> {
    return this.#inner.shutdown();
  }
}
