import { describe, expect, it } from 'vitest';
import { readSettings } from './settings.ts';
import { requireCertificate, traceEndpoint } from './tracing.ts';

const ON = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4317' };

describe('where traces go', () => {
  it('is nowhere unless somebody says so', () => {
    expect(traceEndpoint(readSettings({}))).toBeNull();
    expect(
      traceEndpoint(readSettings({ OTEL_SERVICE_NAME: 'mine', OTEL_TRACES_SAMPLER: 'always_on' })),
    ).toBeNull();
    expect(traceEndpoint(readSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: '' }))).toBeNull();
  });

  it.each([
    'http://collector:4317',
    'https://collector.example',
    'collector:4317',
    '[::1]:4317',
    ' http://a:1/ ',
  ])('is %j', (endpoint) => {
    expect(traceEndpoint(readSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }))).toBe(endpoint.trim());
  });

  it('is what is said for traces before what is said for all', () => {
    const env = { ...ON, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://traces:4317' };
    expect(traceEndpoint(readSettings(env))).toBe('https://traces:4317');
  });

  it.each([{ OTEL_SDK_DISABLED: 'true' }, { OTEL_SDK_DISABLED: 'TRUE' }, { OTEL_TRACES_EXPORTER: 'none' }])(
    'is nowhere with %j',
    (off) => {
      expect(traceEndpoint(readSettings({ ...ON, ...off }))).toBeNull();
    },
  );

  it.each([
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'ftp://collector:4317'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://collector:99999'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://collector:4318/v1/traces'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'two words'],
    ['OTEL_EXPORTER_OTLP_INSECURE', 'yes'],
    ['OTEL_EXPORTER_OTLP_INSECURE', '1'],
    ['OTEL_SDK_DISABLED', 'on'],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'http/protobuf'],
    ['OTEL_EXPORTER_OTLP_TIMEOUT', '10s'],
    ['OTEL_RESOURCE_ATTRIBUTES', 'staging'],
    ['OTEL_TRACES_EXPORTER', 'console'],
    ['OTEL_TRACES_SAMPLER', 'ratio'],
    ['OTEL_TRACES_SAMPLER_ARG', '1.5'],
    ['OTEL_TRACES_SAMPLER_ARG', '10%'],
  ])('is refused by the name of %s where it holds %j', (name, value) => {
    expect(() => readSettings({ ...ON, [name]: value })).toThrow(
      expect.objectContaining({ message: expect.stringContaining(`${name}: ${JSON.stringify(value)} `) }),
    );
  });

  it('is not told by a refusal of headers', () => {
    expect(() => readSettings({ ...ON, OTEL_EXPORTER_OTLP_HEADERS: 'hunter2' })).toThrow(
      /^OTEL_EXPORTER_OTLP_HEADERS: its value must be key=value/,
    );
  });

  it('needs a certificate that is there', () => {
    const settings = readSettings({ ...ON, OTEL_EXPORTER_OTLP_CERTIFICATE: '/nowhere/ca.pem' });
    expect(() => requireCertificate(settings)).toThrow(
      'OTEL_EXPORTER_OTLP_CERTIFICATE: cannot read /nowhere/ca.pem',
    );
  });
});
