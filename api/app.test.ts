import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPool } from '../store/pool.ts';
import { OPERATOR_TOKEN, jobSpec, signedJob, testApi, testKey, type TestApi } from '../test/support/api.ts';

let api: TestApi;
beforeAll(async () => {
  api = await testApi({ allowedHosts: ['beacon.example'] });
});
afterAll(() => api[Symbol.asyncDispose]());

describe('what comes from a web page', () => {
  const ask = (headers: Record<string, string>, url = '/api/v1/jobs') => api.get(url, headers);

  test.each([
    ['localhost:8090'],
    ['127.0.0.1'],
    ['[::1]:8090'],
    ['beacon.localhost'],
    ['beacon.example'],
    ['BEACON.example:443'],
  ])('is served under our name %s', async (host) => {
    expect((await ask({ host })).status).toBe(200);
  });

  test.each([['evil.example'], ['127.0.0.1.evil.example'], ['localhost.evil.example:8090'], ['10.0.0.1']])(
    'is refused under the name %j',
    async (host) => {
      for (const url of ['/api/v1/jobs', '/checkpoint', '/nothing-here']) {
        expect(await ask({ host }, url)).toMatchObject({ status: 403, json: { code: 'host_not_allowed' } });
      }
    },
  );

  test('may come from an allowed origin or our own, and is told so', async () => {
    const answer = await ask({ origin: 'https://portal.example' });
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'access-control-allow-origin': 'https://portal.example' },
    });
    expect((await ask({ origin: 'http://localhost:8090', host: 'localhost:8090' })).status).toBe(200);
    const preflight = await api.app.inject({
      method: 'OPTIONS',
      url: '/api/v1/jobs',
      headers: { origin: 'https://portal.example', 'access-control-request-method': 'POST' },
    });
    expect(preflight.statusCode).toBe(204);
    expect(preflight.headers['access-control-allow-headers']).toContain('Idempotency-Key');
  });

  test('may ask first for what every page may read, from anywhere', async () => {
    const ask = (url: string, host = 'localhost') =>
      api.app.inject({
        method: 'OPTIONS',
        url,
        headers: {
          host,
          origin: 'https://auditor.example',
          'access-control-request-method': 'GET',
          'access-control-request-headers': 'if-none-match',
        },
      });
    const ofTheLog = ['root', 'proof', 'entries', 'keys', 'consistency', 'checkpoints'];
    for (const url of [
      '/checkpoint',
      '/tile/0/000',
      '/ipfs/bafy/a/b',
      ...ofTheLog.map((name) => `/api/v1/transparency/${name}`),
    ]) {
      const { statusCode, headers } = await ask(url);
      expect([url, statusCode, headers['access-control-allow-origin']]).toEqual([url, 204, '*']);
      expect(headers['access-control-allow-headers']).toContain('If-None-Match');
      expect((await ask(url, 'evil.example')).statusCode).toBe(403);
    }
    expect((await ask('/api/v1/jobs')).statusCode).toBe(403);
  });

  test.each([
    ['https://evil.example'],
    ['null'],
    ['https://portal.example.evil.example'],
    ['http://portal.example'],
  ])('is refused from the origin %s, a submit too', async (origin) => {
    expect(await ask({ origin })).toMatchObject({ status: 403, json: { code: 'origin_not_allowed' } });
    expect(await api.post(signedJob(testKey()), { origin })).toMatchObject({ status: 403 });
  });
});

describe('every answer', () => {
  test('has a request id: a sane one that was sent, else one of ours', async () => {
    expect((await api.get('/health/live', { 'x-request-id': 'abc-123' })).headers['x-request-id']).toBe(
      'abc-123',
    );
    for (const id of ['a b', 'x'.repeat(129), '"']) {
      expect((await api.get('/health/live', { 'x-request-id': id })).headers['x-request-id']).toMatch(
        /^[0-9a-f-]{36}$/,
      );
    }
  });

  test.each([['/nothing-here'], ['/api/v1/jobs/a/b/c/d'], ['/%'], ['/api/v1/jobs/%ff'], ['/tile/..%2f..']])(
    'to %s, which is no path, has the shape of every error',
    async (url) => {
      const { status, json, headers } = await api.get(url);
      expect([400, 404]).toContain(status);
      expect(json).toEqual({
        error: expect.any(String),
        error_code: json.code,
        code: expect.stringMatching(/^(not_found|bad_request|tile_not_found)$/),
        request_id: headers['x-request-id'],
      });
    },
  );

  test('is one that no browser interprets or frames', async () => {
    for (const url of ['/api/v1/jobs', '/nothing-here']) {
      expect((await api.get(url)).headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'content-security-policy': expect.stringContaining("default-src 'none'"),
      });
    }
  });

  test('is counted under its route and never under its URL', async () => {
    await api.get('/api/v1/jobs/some-job');
    await api.get('/some-page');
    const { text } = await api.get('/metrics');
    expect(text).toContain('http_requests_total{path="/api/v1/jobs/:id",method="GET",status="404"}');
    expect(text).toContain('http_requests_total{path="unmatched",method="GET",status="404"}');
    expect(text).not.toContain('some-');
    expect((await api.get('/api/v1/metrics')).text).toContain('http_request_duration_seconds_bucket');
    expect((await api.app.inject({ method: 'HEAD', url: '/metrics' })).statusCode).toBe(200);
  });

  test('that is a fault of ours tells a code and a request id, nothing of the inside', async () => {
    await using broken = await testApi();
    const owner = createPool({ databaseUrl: broken.db.url, name: 'test', role: null });
    await owner.query('alter table jobs rename to jobs_away');
    await owner.end();
    const answer = await broken.get('/api/v1/jobs/any');
    expect(answer).toMatchObject({ status: 500, json: { error: 'internal error', code: 'internal_error' } });
    expect(answer.text).not.toMatch(/relation|jobs_away|select/);
    expect((await broken.post(signedJob(testKey()))).text).not.toMatch(/relation|column|select/);
  });
});

test('whatever is posted, the answer is never a fault of ours', async () => {
  const key = testKey();
  const valid = JSON.stringify(signedJob(key));
  const cut = fc.tuple(fc.nat(valid.length), fc.nat(valid.length), fc.string()).map(([a, b, text]) => {
    const [from, to] = a < b ? [a, b] : [b, a];
    return valid.slice(0, from) + text + valid.slice(to);
  });
  const deformed = fc
    .tuple(
      fc.constantFrom(...Object.keys(jobSpec()), 'signature', 'public_key', 'models', 'visibility'),
      fc.jsonValue(),
    )
    .map(([member, value]) => JSON.stringify({ ...signedJob(key), [member]: value }));
  const resigned = fc
    .tuple(
      fc.constantFrom('benchmark', 'constraints', 'metadata', 'questions', 'models', 'version'),
      fc.jsonValue(),
    )
    .map(([member, value]) => signedJob(key, { [member]: value }))
    .map((spec) => JSON.stringify(spec));
  const garbage = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.json(),
    cut,
    deformed,
    resigned,
  );
  await fc.assert(
    fc.asyncProperty(garbage, async (body) => {
      const { status, json } = await api.post(body);
      expect(status).toBeLessThan(500);
      if (status >= 400) expect(json).toMatchObject({ error: expect.any(String), code: expect.any(String) });
    }),
    { numRuns: 300 },
  );
});

describe('health', () => {
  test('is ready while the database answers, and degraded while something else does not', async () => {
    await using shaky = await testApi({
      probes: [
        {
          name: 'temporal',
          required: false,
          check: (): Promise<undefined> => Promise.reject(new Error('secret host refused')),
        },
      ],
    });
    for (const prefix of ['', '/api/v1']) {
      const ready = await shaky.get(`${prefix}/health/ready`);
      expect(ready).toMatchObject({
        status: 200,
        json: {
          ready: true,
          status: 'degraded',
          services: [
            { name: 'database', status: 'healthy', required: true },
            { name: 'temporal', status: 'unhealthy', required: false, error: 'not reachable' },
          ],
        },
      });
      expect(ready.text).not.toContain('secret');
      expect((await shaky.get(`${prefix}/health`)).json).toMatchObject({ status: 'degraded' });
      expect((await shaky.get(`${prefix}/health/live`)).json).toEqual({ status: 'alive' });
    }
  });

  test('is 503 without the database, also when it only hangs, and the process still lives', async () => {
    const pool = createPool({ databaseUrl: 'postgres://nobody@127.0.0.1:1/none', name: 'test' });
    await using down = await testApi({ pool });
    expect(await down.get('/health')).toMatchObject({ status: 503, json: { status: 'unhealthy' } });
    expect(await down.get('/health/ready')).toMatchObject({ status: 503, json: { ready: false } });
    expect((await down.get('/health/live')).status).toBe(200);
    expect(await down.get('/api/v1/jobs')).toMatchObject({
      status: 503,
      json: { code: 'persistence_unavailable' },
    });

    await using hanging = await testApi({
      probes: [{ name: 'slow', required: true, check: () => new Promise<void>(() => undefined) }],
    });
    expect((await hanging.get('/health/ready')).json.services[1]).toMatchObject({
      status: 'unhealthy',
      error: 'no answer within 1000 ms',
    });
  });
});

test('an app with a route that does not say what it permits cannot be built', async () => {
  const { default: Fastify } = await import('fastify');
  const { registerPrincipals } = await import('./plugins/principal.ts');
  const app = Fastify();
  registerPrincipals(app, OPERATOR_TOKEN);
  expect(() => app.get('/open', () => 'anything')).toThrow(/does not declare its permission/);
});

test.each([
  '/api/v1/jobs/%00',
  '/api/v1/jobs/a%00b/bundle',
  '/api/v1/transparency/bundles/%00',
  '/api/v1/transparency/proof?ipfs_cid=%00',
  '/api/v1/jobs?status=%00',
])('a NUL in %s is the fault of who sent it', async (url) => {
  expect(await api.get(url)).toMatchObject({ status: 400, json: { code: 'bad_request' } });
});
