import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../test/support/temporary-folder.ts';
import { readSettings } from './settings.ts';
import { requireTraceFiles, traceEndpoint } from './tracing.ts';

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
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://collector'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://[::1]/'],
    ['OTEL_EXPORTER_OTLP_INSECURE', 'yes'],
    ['OTEL_EXPORTER_OTLP_INSECURE', '1'],
    ['OTEL_SDK_DISABLED', 'on'],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'http/protobuf'],
    ['OTEL_EXPORTER_OTLP_TIMEOUT', '10s'],
    ['OTEL_EXPORTER_OTLP_TRACES_TIMEOUT', '10s'],
    ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'http/json'],
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

  it.each(['x=%zz', 'x=%C3%A9', 'x=%0a', 'x-bin=hunter2', 'ключ=hunter2', 'a=1,x=%0ahunter2'])(
    'is refused by the name of the headers where gRPC could not send %j',
    (headers) => {
      for (const name of ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_EXPORTER_OTLP_TRACES_HEADERS']) {
        const refusal = expect.objectContaining({
          message: expect.stringMatching(new RegExp(`^${name}: its value has a name or a value`)),
        });
        expect(() => readSettings({ ...ON, [name]: headers })).toThrow(refusal);
        expect(() => readSettings({ ...ON, [name]: headers })).not.toThrow(/hunter2/);
      }
    },
  );

  it.each(['authorization=Bearer%20t0ken==', 'a=1, b=2,', 'X-Tenant = blue%20team', ''])(
    'is asked with %j',
    (headers) => {
      expect(() => readSettings({ ...ON, OTEL_EXPORTER_OTLP_HEADERS: headers })).not.toThrow();
    },
  );

  it.each([
    'OTEL_EXPORTER_OTLP_CERTIFICATE',
    'OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE',
    'OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE',
    'OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY',
  ])('needs a file of %s that is there and is one', (name) => {
    const given = (file: string) => () => requireTraceFiles(readSettings({ ...ON, [name]: file }));
    expect(given('/nowhere/ca.pem')).toThrow(`${name}: cannot read /nowhere/ca.pem`);
    expect(given(import.meta.filename)).toThrow(`${name}: ${import.meta.filename} holds no `);
  });

  it('needs both of a certificate and its key', async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, 'key.pem');
    const { privateKey } = generateKeyPairSync('ed25519');
    await writeFile(file, privateKey.export({ format: 'pem', type: 'pkcs8' }));
    const settings = readSettings({ ...ON, OTEL_EXPORTER_OTLP_CLIENT_KEY: file });
    expect(() => requireTraceFiles(settings)).toThrow(
      'OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY: one needs the other',
    );
  });
});
