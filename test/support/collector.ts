import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import protobuf from 'protobufjs';

export interface CollectedSpan {
  traceId: string;
  spanId: string;
  /** Empty: the trace begins here. */
  parent: string;
  name: string;
  kind: number;
  startMs: number;
  endMs: number;
  failed: boolean;
  attributes: Record<string, unknown>;
  links: { traceId: string; spanId: string }[];
  resource: Record<string, unknown>;
}

/** A real gRPC server that takes OTLP traces, as a collector does. */
export interface Collector extends AsyncDisposable {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  url: string;
  spans: CollectedSpan[];
  /** Metadata of each export. */
  calls: Record<string, unknown>[];
  /** Takes exports and never answers. */
  silent: boolean;
  stop(): Promise<void>;
}

const { root } = protobuf.parse(readFileSync(path.join(import.meta.dirname, 'collector.proto'), 'utf8'));
const PACKAGE = 'opentelemetry.proto.collector.trace.v1';
const request = root.lookupType(`${PACKAGE}.ExportTraceServiceRequest`);
const bytes = (value: Uint8Array): Buffer => Buffer.from(value);
const service: ServiceDefinition = {
  export: {
    path: `/${PACKAGE}.TraceService/Export`,
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: (buffer: Buffer) => spansOf(buffer),
    responseSerialize: () => Buffer.alloc(0),
    responseDeserialize: () => ({}),
  },
};

export interface CollectorOptions {
  port?: number;
  /** PEM; without it the collector speaks without TLS. */
  tls?: { key: string; certificate: string };
  /** Asks who calls, and takes only this one's certificate. */
  caller?: string;
}

export async function startCollector({ port = 0, tls, caller }: CollectorOptions = {}): Promise<Collector> {
  const server = new Server();
  const collector: Collector = {
    url: '',
    spans: [],
    calls: [],
    silent: false,
    stop: async () => server.forceShutdown(),
    [Symbol.asyncDispose]: () => collector.stop(),
  };
  server.addService(service, {
    export(
      call: { request: CollectedSpan[]; metadata: { getMap(): Record<string, unknown> } },
      answer: (error: null, value: object) => void,
    ) {
      collector.calls.push(call.metadata.getMap());
      if (collector.silent) return;
      collector.spans.push(...call.request);
      answer(null, {});
    },
  });
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${port}`, credentialsOf(tls, caller), (error, at) =>
      error === null ? resolve(at) : reject(error),
    ),
  );
  collector.url = tls === undefined ? `http://127.0.0.1:${bound}` : `https://localhost:${bound}`;
  return collector;
}

function credentialsOf(tls: CollectorOptions['tls'], caller: CollectorOptions['caller']): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  return ServerCredentials.createSsl(
    caller === undefined ? null : Buffer.from(caller),
    [{ private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.certificate) }],
    caller !== undefined,
  );
}

interface KeyValue {
  key: string;
  value?: Record<string, unknown>;
}

interface WireSpan {
  traceId: Uint8Array;
  spanId: Uint8Array;
  parentSpanId?: Uint8Array;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes?: KeyValue[];
  links?: { traceId: Uint8Array; spanId: Uint8Array }[];
  status?: { code?: number };
}

interface Wire {
  resourceSpans?: { resource: { attributes?: KeyValue[] }; scopeSpans: { spans: WireSpan[] }[] }[];
}

const ERROR = 2;
const hex = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString('hex');
const ms = (nanoseconds: string): number => Number(BigInt(nanoseconds) / 1_000n) / 1_000;

function spansOf(buffer: Buffer): CollectedSpan[] {
  const message = request.toObject(request.decode(buffer), { longs: String }) as Wire;
  return (message.resourceSpans ?? []).flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        traceId: hex(span.traceId),
        spanId: hex(span.spanId),
        parent: hex(span.parentSpanId),
        name: span.name,
        kind: span.kind,
        startMs: ms(span.startTimeUnixNano),
        endMs: ms(span.endTimeUnixNano),
        failed: span.status?.code === ERROR,
        attributes: valuesOf(span.attributes),
        links: (span.links ?? []).map((link) => ({ traceId: hex(link.traceId), spanId: hex(link.spanId) })),
        resource: valuesOf(resource.attributes),
      })),
    ),
  );
}

function valuesOf(pairs: readonly KeyValue[] = []): Record<string, unknown> {
  return Object.fromEntries(pairs.map(({ key, value = {} }) => [key, Object.values(value)[0]]));
}
