// Traces over TLS, to a collector with a certificate of its own.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { startCollector, type Collector, type CollectorOptions } from '../../test/support/collector.ts';
import { describeNeeding } from '../../test/support/needing.ts';
import { NO_OPENSSL, ownCertificate, type OwnCertificate } from '../../test/support/own-certificate.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { createLogger } from '../log.ts';
import { inSpan } from '../tracing.ts';
import { startTracing } from './start.ts';

describeNeeding('traces over TLS', NO_OPENSSL, () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let own: OwnCertificate;
  let collector: Collector;

  const listen = async (options: CollectorOptions = {}): Promise<void> => {
    collector = await startCollector({ tls: own, ...options });
  };
  beforeEach(async () => {
    folder = await temporaryFolder();
    own = ownCertificate(folder.path);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await collector.stop();
    await folder[Symbol.asyncDispose]();
  });

  /** What was warned of. */
  async function write(env: Record<string, string>, endpoint = collector.url): Promise<string[]> {
    const lines: string[] = [];
    const log = createLogger('test', 'warn', { destination: { write: (line) => void lines.push(line) } });
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', endpoint);
    vi.stubEnv('OTEL_EXPORTER_OTLP_TIMEOUT', '1000');
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    const traces = startTracing({ role: 'api', version: '1', endpoint, log });
    await inSpan('over TLS', {}, async () => undefined);
    await traces[Symbol.asyncDispose]();
    return lines;
  }

  it.each(['OTEL_EXPORTER_OTLP_CERTIFICATE', 'OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE'])(
    'reach a collector whose authority %s names',
    async (name) => {
      await listen();
      expect(await write({ [name]: own.file })).toEqual([]);
      expect(await write({ [name]: own.file }, collector.url.replace('https://', ''))).toEqual([]);
      expect(collector.spans).toMatchObject([{ name: 'over TLS' }, { name: 'over TLS' }]);
    },
  );

  it('reach no collector whose authority nobody named, and none without TLS', async () => {
    await listen();
    expect(await write({})).toMatchObject([expect.stringContaining('self-signed certificate')]);
    expect(await write({}, collector.url.replace('https', 'http'))).toHaveLength(1);
    expect(collector.calls).toEqual([]);
  });

  it('show their own certificate to a collector that asks who calls', async () => {
    const caller = ownCertificate(folder.path, 'caller');
    await listen({ caller: caller.certificate });
    const authority = { OTEL_EXPORTER_OTLP_CERTIFICATE: own.file };
    expect(await write(authority)).toHaveLength(1);
    expect(collector.spans).toEqual([]);
    const known = {
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: caller.file,
      OTEL_EXPORTER_OTLP_CLIENT_KEY: caller.file.replace(/crt$/, 'key'),
    };
    expect(await write({ ...authority, ...known })).toEqual([]);
    expect(collector.spans).toMatchObject([{ name: 'over TLS' }]);
  });
});
