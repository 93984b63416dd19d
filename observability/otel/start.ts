/**
 * OpenTelemetry's SDK with an exporter of OTLP over gRPC. Loaded only where traces are exported. The SDK itself reads what
 * else the standard names: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, OTEL_BSP_*,
 * OTEL_EXPORTER_OTLP_HEADERS and its siblings.
 */
import { randomUUID } from 'node:crypto';
import { context, diag, DiagLogLevel } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  RandomIdGenerator,
  type IdGenerator,
} from '@opentelemetry/sdk-trace-base';
import type { Log } from '../log.ts';
import { useTracing } from '../tracing.ts';
import { ToldOnce } from './exporter.ts';
import { traceOutgoing } from './outgoing.ts';
import { otelTracing, type SpanIds } from './spans.ts';

/** An exporter that does not answer holds up no end of a process for longer. */
const FLUSH_MS = 2_000;
const SERVICE_NAME = 'project-beacon-runner';

export interface TracingOptions {
  role: string;
  version: string;
  /** Shown where it does not answer; the exporter reads it from the environment. */
  endpoint: string;
  log: Log;
}

/** Writes spans until it is disposed, which sends what is left. */
export function startTracing({ role, version, endpoint, log }: TracingOptions): AsyncDisposable {
  // What the SDK says of itself is said again and again while a collector is away; ToldOnce says it for people.
  const said = (message: string): void => log.debug({ component: 'opentelemetry' }, message);
  const logger = { error: said, warn: said, info: said, debug: said, verbose: said };
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  const random = new RandomIdGenerator();
  const idGenerator: IdGenerator & SpanIds = {
    next: undefined,
    generateTraceId: random.generateTraceId,
    generateSpanId: () => idGenerator.next ?? random.generateSpanId(),
  };
  const provider = new BasicTracerProvider({
    resource: defaultResource()
      .merge(
        resourceFromAttributes({
          'service.name': SERVICE_NAME,
          'service.version': version,
          'service.instance.id': randomUUID(),
          'beacon.role': role,
          'process.pid': process.pid,
        }),
      )
      .merge(detectResources({ detectors: [envDetector] })),
    idGenerator,
    spanProcessors: [new BatchSpanProcessor(new ToldOnce(new OTLPTraceExporter(), endpoint, log))],
  });
  const contexts = new AsyncLocalStorageContextManager().enable();
  context.setGlobalContextManager(contexts);
  useTracing(otelTracing(provider.getTracer('beacon', version), idGenerator));
  const outgoing = traceOutgoing();
  return {
    async [Symbol.asyncDispose]() {
      outgoing[Symbol.dispose]();
      useTracing(undefined);
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, FLUSH_MS);
      });
      await Promise.race([provider.shutdown().catch(() => undefined), late]);
      clearTimeout(timer);
      context.disable();
      diag.disable();
    },
  };
}
