/**
 * Variables of the OpenTelemetry standard. Where one is wrong the standard says to warn and go on, and nobody would see why
 * there are no traces: here it stops the start, as every other setting does.
 */
import { z } from 'zod';

const text = z
  .string()
  .optional()
  .transform((value) => value ?? null);

/** The standard knows `true` in any case; whatever else it takes for false. */
const flag = z
  .string()
  .regex(/^\s*(true|false)\s*$/i, 'must be true or false')
  .optional()
  .transform((value) => value?.trim().toLowerCase() === 'true');

const endpoint = z
  .string()
  .regex(
    /^\s*(https?:\/\/)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?\/?\s*$/,
    'must be http://host:4317, https://host:4317 or host:4317, without a path',
  )
  .refine(
    (value) => URL.canParse(value.includes('://') ? value : `https://${value.trim()}`),
    'has no such port',
  )
  .optional()
  .transform((value) => value?.trim() ?? null);

const KEY_VALUES = /^\s*([^\s=,;]+\s*=[^,;]*(,\s*|$))*$/;

const keyValues = z
  .string()
  .regex(KEY_VALUES, 'must be key=value,key=value')
  .optional()
  .transform((value) => value ?? null);

export const TRACES_SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

export const TRACING_VARIABLES = {
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    doc: 'Where traces are sent by OTLP over gRPC: http://host:4317 (plain), https://host:4317 (TLS), or host:4317 (TLS unless OTEL_EXPORTER_OTLP_INSECURE). Default: none, and nothing is traced.',
    schema: endpoint,
  },
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: { doc: 'The same, and wins.', schema: endpoint },
  OTEL_EXPORTER_OTLP_INSECURE: {
    doc: 'true: an endpoint without a scheme is reached without TLS; one with a scheme is reached as that says. Default false.',
    schema: flag,
  },
  OTEL_EXPORTER_OTLP_PROTOCOL: {
    doc: 'grpc, the only one here.',
    schema: z
      .enum(['grpc'], 'is not spoken here: it must be grpc')
      .optional()
      .transform(() => 'grpc' as const),
  },
  OTEL_EXPORTER_OTLP_HEADERS: {
    doc: 'Sent with every export, for collectors that ask who calls: name=value,name=value, values percent-encoded.',
    schema: keyValues,
    secret: true,
  },
  OTEL_EXPORTER_OTLP_CERTIFICATE: {
    doc: "PEM file of the authority of the collector's certificate. Default: those that Node trusts.",
    schema: text,
  },
  OTEL_EXPORTER_OTLP_TIMEOUT: {
    doc: 'Milliseconds that one export may take. Default 10000.',
    schema: z
      .string()
      .regex(/^[1-9]\d{0,6}$/, 'is no number of milliseconds')
      .optional()
      .transform((value) => Number(value ?? 10_000)),
  },
  OTEL_TRACES_EXPORTER: {
    doc: 'otlp (default) or none.',
    schema: z
      .enum(['otlp', 'none'], 'must be otlp or none')
      .optional()
      .transform((value) => value ?? 'otlp'),
  },
  OTEL_SDK_DISABLED: {
    doc: 'true: nothing is traced, whatever the others say. Default false.',
    schema: flag,
  },
  OTEL_SERVICE_NAME: {
    doc: 'service.name of all roles; which role it is says beacon.role. Default project-beacon-runner.',
    schema: text.transform((value) => value ?? 'project-beacon-runner'),
  },
  OTEL_RESOURCE_ATTRIBUTES: {
    doc: 'More about the process on every span: key=value,key=value, such as deployment.environment.name=staging.',
    schema: keyValues,
  },
  OTEL_TRACES_SAMPLER: {
    doc: `Which traces are kept, one of ${TRACES_SAMPLERS.join(', ')}. Default parentbased_always_on: all, but those that a caller says are not kept.`,
    schema: z
      .enum(TRACES_SAMPLERS, `must be one of ${TRACES_SAMPLERS.join(', ')}`)
      .optional()
      .transform((value) => value ?? 'parentbased_always_on'),
  },
  OTEL_TRACES_SAMPLER_ARG: {
    doc: 'Of the samplers by ratio: which part is kept, 0 to 1. Default 1.',
    schema: z
      .string()
      .regex(/^(0(\.\d+)?|1(\.0+)?|\.\d+)$/, 'is no number from 0 to 1')
      .optional()
      .transform((value) => Number(value ?? 1)),
  },
} as const;
