/**
 * Variables of the OpenTelemetry standard. Where one is wrong the standard says to warn and go on, and nobody would see why
 * there are no traces: here it stops the start, as every other setting does.
 */
import { z } from 'zod';

const text = z
  .string()
  .optional()
  .transform((value) => value ?? null);

const file = text.transform((value) => value?.trim() ?? null);

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
  // gRPC would call port 443, where nobody speaks without TLS.
  .refine((value) => !/^\s*http:\/\/(\[.*\]|[^:[]*)\/?\s*$/.test(value), 'must name a port, usually 4317')
  .optional()
  .transform((value) => value?.trim() ?? null);

const KEY_VALUES = /^\s*([^\s=,;]+\s*=[^,;]*(,\s*|$))*$/;

const keyValues = z
  .string()
  .regex(KEY_VALUES, 'must be key=value,key=value')
  .optional()
  .transform((value) => value ?? null);

/** What gRPC would refuse, naming the value but no variable. */
const METADATA_NAME = /^[\w.-]+$/;
const METADATA_VALUE = /^[ -~]*$/;
const NO_HEADER = 'has a name or a value that gRPC cannot send (printable ASCII, names without -bin)';

const headers = keyValues.refine(
  (pairs) => (pairs ?? '').split(',').every((pair) => pair.trim() === '' || canBeSent(pair)),
  NO_HEADER,
);

function canBeSent(pair: string): boolean {
  const [name = '', ...value] = pair.trim().split('=');
  try {
    const sent = decodeURIComponent(value.join('='));
    return METADATA_NAME.test(name.trim()) && !/-bin$/i.test(name.trim()) && METADATA_VALUE.test(sent);
  } catch {
    return false;
  }
}

const protocol = z
  .enum(['grpc'], 'is not spoken here: it must be grpc')
  .optional()
  .transform(() => 'grpc' as const);

const milliseconds = z
  .string()
  .regex(/^[1-9]\d{0,6}$/, 'is no number of milliseconds')
  .optional()
  .transform((value) => Number(value ?? 10_000));

const SAME = 'The same for traces, and wins.';

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
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: { doc: SAME, schema: endpoint },
  OTEL_EXPORTER_OTLP_INSECURE: {
    doc: 'true: an endpoint without a scheme is reached without TLS; one with a scheme is reached as that says. Default false.',
    schema: flag,
  },
  OTEL_EXPORTER_OTLP_TRACES_INSECURE: { doc: SAME, schema: flag },
  OTEL_EXPORTER_OTLP_PROTOCOL: { doc: 'grpc, the only one here.', schema: protocol },
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: { doc: SAME, schema: protocol },
  OTEL_EXPORTER_OTLP_HEADERS: {
    doc: 'Sent with every export, for collectors that ask who calls: name=value,name=value, values percent-encoded.',
    schema: headers,
    secret: true,
  },
  OTEL_EXPORTER_OTLP_TRACES_HEADERS: { doc: SAME, schema: headers, secret: true },
  OTEL_EXPORTER_OTLP_CERTIFICATE: {
    doc: "PEM file of the authority of the collector's certificate. Default: those that Node trusts.",
    schema: file,
  },
  OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE: { doc: SAME, schema: file },
  OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: {
    doc: 'PEM file of the certificate by which the collector knows us, with OTEL_EXPORTER_OTLP_CLIENT_KEY.',
    schema: file,
  },
  OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE: { doc: SAME, schema: file },
  OTEL_EXPORTER_OTLP_CLIENT_KEY: {
    doc: 'PEM file of the private key of OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE.',
    schema: file,
  },
  OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY: { doc: SAME, schema: file },
  OTEL_EXPORTER_OTLP_TIMEOUT: {
    doc: 'Milliseconds that one export may take. Default 10000.',
    schema: milliseconds,
  },
  OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: { doc: SAME, schema: milliseconds },
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
