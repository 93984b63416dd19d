import { connect, type AddressInfo } from 'node:net';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createLogger } from '../../observability/log.ts';
import { startTracing } from '../../observability/otel/start.ts';
import { activeSpan } from '../../observability/tracing.ts';
import { startCollector, type Collector } from '../../test/support/collector.ts';
import { eventually } from '../../test/support/eventually.ts';
import { registerTracing } from './tracing.ts';

let collector: Collector;
let traces: AsyncDisposable;
let app: FastifyInstance;
let waiting: () => void = () => undefined;

beforeEach(async () => {
  collector = await startCollector();
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', collector.url);
  vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', '20');
  traces = startTracing({
    role: 'api',
    version: '0',
    endpoint: collector.url,
    log: createLogger('test', 'error'),
  });
  app = Fastify();
  registerTracing(app);
  app.post('/things/:id', async (request, reply) => {
    await new Promise((resolve) => setImmediate(resolve));
    return reply.code(201).send({ same: activeSpan()?.traceparent === request.span?.traceparent });
  });
  app.get('/broken', async () => {
    throw new Error('a secret');
  });
  app.get('/slow', () => new Promise(() => waiting()));
  app.get('/files/*', async () => 'a file');
  app.get('/health', { schema: { tags: ['service'] } }, async () => 'well');
  await app.listen({ port: 0, host: '127.0.0.1' });
});
afterEach(async () => {
  app.server.closeAllConnections();
  await app.close();
  await traces[Symbol.asyncDispose]();
  await collector[Symbol.asyncDispose]();
  vi.unstubAllEnvs();
});

const url = (path: string) => `http://127.0.0.1:${(app.server.address() as AddressInfo).port}${path}`;
const span = (name: string) => eventually(() => collector.spans.find((one) => one.name === name));

it('a request is one span, active also behind its body, and named to whoever asked', async () => {
  const answer = await fetch(url('/things/7?token=secret'), {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer secret' },
    body: JSON.stringify({ text: 'x'.repeat(100_000) }),
  });
  expect(await answer.json()).toEqual({ same: true });
  const { traceId, spanId, ...told } = await span('POST /things/:id');
  expect(answer.headers.get('traceresponse')).toBe(`00-${traceId}-${spanId}-01`);
  expect(told).toMatchObject({
    parent: '',
    kind: 2,
    failed: false,
    attributes: { 'url.path': '/things/7', 'http.route': '/things/:id', 'http.response.status_code': '201' },
  });
  expect(JSON.stringify(told)).not.toContain('secret');
});

it('a fault of ours fails its span, a client that goes away too; what is not there and health have none', async () => {
  expect((await fetch(url('/broken'))).status).toBe(500);
  expect((await fetch(url('/nothing'))).headers.has('traceresponse')).toBe(false);
  expect((await fetch(url('/health'))).headers.has('traceresponse')).toBe(false);
  const asked = new Promise<void>((resolve) => (waiting = resolve));
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1');
  socket.write('GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await asked;
  socket.destroy();
  const gone = await span('GET /slow');
  expect(gone).toMatchObject({ failed: true, attributes: { 'error.type': 'client_gone' } });
  // Nothing was answered.
  expect(gone.attributes).not.toHaveProperty('http.response.status_code');
  expect(await span('GET /broken')).toMatchObject({ failed: true, attributes: { 'error.type': '500' } });
  expect(JSON.stringify(collector.spans)).not.toContain('secret');
  expect(collector.spans).toHaveLength(2);
});

it('the name of a file that a job wrote is not told', async () => {
  expect(await (await fetch(url('/files/of/patient-smith.pdf'))).text()).toBe('a file');
  const { attributes } = await span('GET /files/*');
  expect(attributes).toMatchObject({ 'http.route': '/files/*', 'http.response.status_code': '200' });
  expect(JSON.stringify(attributes)).not.toContain('smith');
});
