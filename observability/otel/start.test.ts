import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { startCollector, type Collector } from '../../test/support/collector.ts';
import { eventually } from '../../test/support/eventually.ts';
import { createLogger } from '../log.ts';
import { activeSpan, inSpan, tracing } from '../tracing.ts';
import { startTracing } from './start.ts';

afterEach(() => vi.unstubAllEnvs());

const CALLER = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

function start(endpoint: string, env: Record<string, string> = {}) {
  const lines: Record<string, unknown>[] = [];
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', endpoint);
  vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', '20');
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  const log = createLogger('test', 'info', {
    destination: { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
    traced: true,
  });
  return { traces: startTracing({ role: 'api', version: '1.2.3', endpoint, log }), lines, log };
}

async function collected(collector: Collector, name: string) {
  return eventually(() => collector.spans.find((span) => span.name === name));
}

describe('traces', () => {
  it('are of the service, the role and the process, as the standard and the environment name them', async () => {
    await using collector = await startCollector();
    const { traces } = start(collector.url, {
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=staging,service.namespace=beacon',
      OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=blue%20team',
    });
    await inSpan('work', { parent: null }, async () => undefined);
    await traces[Symbol.asyncDispose]();
    expect(collector.spans).toMatchObject([
      {
        name: 'work',
        parent: '',
        resource: {
          'service.name': 'project-beacon-runner',
          'service.version': '1.2.3',
          'service.instance.id': expect.stringMatching(/^[0-9a-f-]{36}$/),
          'service.namespace': 'beacon',
          'deployment.environment.name': 'staging',
          'beacon.role': 'api',
        },
      },
    ]);
    expect(collector.calls[0]).toMatchObject({ 'x-tenant': 'blue team' });
    const named = start(collector.url, { OTEL_SERVICE_NAME: 'mine' });
    await inSpan('other', {}, async () => undefined);
    await named.traces[Symbol.asyncDispose]();
    expect(collector.spans.at(-1)).toMatchObject({ name: 'other', resource: { 'service.name': 'mine' } });
  });

  it('go on where a caller began them, and hold spans within spans, links and failures', async () => {
    await using collector = await startCollector();
    const { traces } = start(collector.url);
    await inSpan('outer', { parent: CALLER, kind: 'server' }, async () => {
      await inSpan('inner', { links: [CALLER, 'no trace'] }, async (span) => span?.fail('exit_nonzero'));
      await inSpan('refused', {}, async () => {
        throw Object.assign(new Error('no offer yet'), { category: 'BENIGN', name: 'ApplicationFailure' });
      }).catch(() => undefined);
      await inSpan('broken', {}, async () => {
        throw Object.assign(new Error('postgres://user:secret@host'), { code: 'ECONNREFUSED' });
      }).catch(() => undefined);
    });
    await traces[Symbol.asyncDispose]();
    const [inner, refused, broken, outer] = collector.spans;
    expect(outer).toMatchObject({
      name: 'outer',
      traceId: '0af7651916cd43dd8448eb211c80319c',
      parent: 'b7ad6b7169203331',
      kind: 2,
      failed: false,
    });
    for (const span of [inner, refused, broken])
      expect(span).toMatchObject({ traceId: outer!.traceId, parent: outer!.spanId });
    expect(inner).toMatchObject({
      failed: true,
      attributes: { 'error.type': 'exit_nonzero' },
      links: [{ traceId: outer!.traceId, spanId: 'b7ad6b7169203331' }],
    });
    expect(refused).toMatchObject({ failed: false });
    expect(broken).toMatchObject({ failed: true, attributes: { 'error.type': 'ECONNREFUSED' } });
    expect(JSON.stringify(collector.spans)).not.toContain('secret');
  });

  it.each([
    '00-00000000000000000000000000000000-b7ad6b7169203331-01',
    '00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01',
    'ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    '00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01',
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more',
    'yes',
  ])('begin anew where a caller sends %j', async (parent) => {
    await using collector = await startCollector();
    const { traces } = start(collector.url);
    await inSpan('work', { parent }, async () => undefined);
    await traces[Symbol.asyncDispose]();
    expect(collector.spans).toMatchObject([{ parent: '' }]);
    expect(collector.spans[0]!.traceId).not.toBe('0af7651916cd43dd8448eb211c80319c');
  });

  it('are not written where the caller says so, or the sampler', async () => {
    await using collector = await startCollector();
    const first = start(collector.url);
    const carried = await inSpan(
      'unsampled',
      { parent: CALLER.replace(/1$/, '0') },
      async (span) => span?.traceparent,
    );
    expect(carried).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-00$/);
    await first.traces[Symbol.asyncDispose]();
    const second = start(collector.url, { OTEL_TRACES_SAMPLER: 'always_off' });
    await inSpan('never', { parent: CALLER }, async () => undefined);
    await second.traces[Symbol.asyncDispose]();
    expect(collector.spans).toEqual([]);
  });

  it.each(['always_on', 'always_off'])('are over once they ended, for what goes on (%s)', async (sampler) => {
    await using collector = await startCollector();
    const { traces, lines, log } = start(collector.url, { OTEL_TRACES_SAMPLER: sampler });
    let later: Promise<void> = Promise.resolve();
    await inSpan('work', {}, async () => {
      expect(tracing()?.active()).toBeDefined();
      later = new Promise((resolve) => setTimeout(resolve, 10)).then(() => {
        expect(tracing()?.active()).toBeUndefined();
        log.info('later');
      });
    });
    await later;
    await traces[Symbol.asyncDispose]();
    expect(lines.at(-1)).not.toHaveProperty('trace_id');
  });

  it('are named by log lines within a span, and by no other', async () => {
    await using collector = await startCollector();
    const { traces, lines, log } = start(collector.url);
    log.info('before');
    const traceparent = await inSpan('work', {}, async (span) => {
      log.info('within');
      return span!.traceparent;
    });
    const [, traceId, spanId] = traceparent.split('-');
    await traces[Symbol.asyncDispose]();
    log.info('after');
    expect(lines).toMatchObject([
      { msg: 'before' },
      { msg: 'within', trace_id: traceId, span_id: spanId },
      { msg: 'after' },
    ]);
    expect(lines[0]).not.toHaveProperty('trace_id');
    expect(lines[2]).not.toHaveProperty('trace_id');
    expect(tracing()).toBeUndefined();
  });

  it('hold calls by fetch without their query, and none after the span that they began in', async () => {
    await using collector = await startCollector();
    const server = createServer((request, response) => {
      response.statusCode = request.url === '/missing' ? 404 : 200;
      response.end(JSON.stringify(request.headers));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const gone = createServer();
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve));
    const nobody = `http://127.0.0.1:${(gone.address() as AddressInfo).port}`;
    await new Promise((resolve) => gone.close(resolve));
    const { traces } = start(collector.url);
    let later: Promise<unknown> = Promise.resolve();
    const headers = await inSpan('outer', { parent: null }, async () => {
      const answer = await fetch(`${url}/path?token=secret`, { headers: { authorization: 'Bearer secret' } });
      await (await fetch(`${url}/missing`)).text();
      await (await fetch(`${url}/missing`, { method: 'DELETE' })).text();
      await (await fetch(`${url}/payment-api/v1/invoiceEvents?timeout=5`)).text();
      await fetch(`${nobody}/away`).catch(() => undefined);
      later = new Promise((resolve) => setTimeout(resolve, 30))
        .then(() => fetch(`${url}/later`))
        .then((late) => late.text());
      return (await answer.json()) as Record<string, string>;
    });
    await later;
    await fetch(`${url}/outside`).then((answer) => answer.text());
    await traces[Symbol.asyncDispose]();
    const outer = await collected(collector, 'outer');
    const calls = collector.spans.filter(({ name }) => name !== 'outer');
    expect(calls).toMatchObject([
      {
        parent: outer.spanId,
        kind: 3,
        failed: false,
        attributes: {
          'http.request.method': 'GET',
          'http.response.status_code': '200',
          'server.address': '127.0.0.1',
          'url.full': `${url}/path`,
        },
      },
      { failed: true, attributes: { 'error.type': '404', 'url.full': `${url}/missing` } },
      { failed: false, attributes: { 'http.request.method': 'DELETE', 'http.response.status_code': '404' } },
      { failed: true, attributes: { 'error.type': 'ECONNREFUSED' } },
    ]);
    expect(JSON.stringify(collector.spans)).not.toContain('secret');
    // Whom we call need not know our traces.
    expect(headers).not.toHaveProperty('traceparent');
  });

  it('go without TLS where the endpoint has no scheme only if that is said', async () => {
    await using collector = await startCollector();
    const bare = collector.url.replace('http://', '');
    const said = start(bare, { OTEL_EXPORTER_OTLP_INSECURE: 'true' });
    await inSpan('plain', {}, async () => undefined);
    await said.traces[Symbol.asyncDispose]();
    const unsaid = start(bare, { OTEL_EXPORTER_OTLP_INSECURE: 'false', OTEL_EXPORTER_OTLP_TIMEOUT: '300' });
    await inSpan('never plain', {}, async () => undefined);
    await unsaid.traces[Symbol.asyncDispose]();
    expect(collector.spans.map(({ name }) => name)).toEqual(['plain']);
    expect(unsaid.lines).toMatchObject([{ level: 'warn', msg: expect.stringContaining(bare) }]);
  });

  it('that cannot be sent cost one warning, and hold up no end', async () => {
    const { traces, lines } = start('http://127.0.0.1:1', { OTEL_EXPORTER_OTLP_TIMEOUT: '200' });
    for (let round = 0; round < 5; round++) {
      await inSpan('lost', {}, async () => new Promise((resolve) => setTimeout(resolve, 60)));
    }
    await eventually(() => (lines.length > 0 ? true : undefined));
    await inSpan('lost too', {}, async () => undefined);
    const began = performance.now();
    await traces[Symbol.asyncDispose]();
    expect(performance.now() - began).toBeLessThan(2_500);
    expect(lines.filter(({ level }) => level === 'warn' || level === 'error')).toMatchObject([
      { msg: expect.stringContaining('http://127.0.0.1:1 (OTEL_EXPORTER_OTLP_ENDPOINT)') },
    ]);
  });

  it('are flushed within their bound where a collector never answers', async () => {
    await using collector = await startCollector();
    collector.silent = true;
    const { traces } = start(collector.url);
    await inSpan('unheard', {}, async () => undefined);
    const began = performance.now();
    await traces[Symbol.asyncDispose]();
    expect(performance.now() - began).toBeLessThan(2_500);
    expect(collector.calls.length).toBeGreaterThan(0);
  });
});

it('without them work is just done', async () => {
  expect(tracing()).toBeUndefined();
  await inSpan('nothing', {}, async (span) => {
    expect(span).toBeUndefined();
    expect(activeSpan()).toBeUndefined();
  });
});
