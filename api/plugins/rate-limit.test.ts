import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testApi, type TestApi } from '../../test/support/api.ts';

const PER_MINUTE = 3;

let api: TestApi;
beforeAll(async () => {
  api = await testApi({ requestsPerMinute: PER_MINUTE, trustedProxies: ['10.0.0.1'] });
});
afterAll(() => api[Symbol.asyncDispose]());

const ask = (remoteAddress: string, url = '/api/v1/jobs', headers = {}) =>
  api.app.inject({ url, remoteAddress, headers });

/** Makes as many requests as the address may. */
async function exhaust(address: string, headers = {}) {
  for (let left = PER_MINUTE - 1; left >= 0; left--) {
    const answer = await ask(address, '/api/v1/jobs', headers);
    expect(answer.statusCode).toBe(200);
    expect(answer.headers).toMatchObject({
      'ratelimit-limit': String(PER_MINUTE),
      'ratelimit-remaining': String(left),
    });
    expect(Number(answer.headers['ratelimit-reset'])).toBeGreaterThan(0);
  }
}

describe('the limit of requests', () => {
  test('answers one address 429 in the form of the API and says when to come back, and nobody else', async () => {
    await exhaust('1.1.1.1');
    const refused = await ask('1.1.1.1');
    expect(refused.statusCode).toBe(429);
    expect(refused.json()).toEqual({
      error: 'too many requests: at most 3 a minute from one address',
      error_code: 'rate_limit_exceeded',
      code: 'rate_limit_exceeded',
      request_id: refused.headers['x-request-id'],
    });
    expect(refused.headers).toMatchObject({ 'ratelimit-limit': '3', 'ratelimit-remaining': '0' });
    const waitS = Number(refused.headers['retry-after']);
    expect(waitS).toBeGreaterThan(0);
    expect(waitS).toBeLessThanOrEqual(60);
    expect((await ask('1.1.1.2')).statusCode).toBe(200);
  });

  test('counts paths that are not there and submits, but no health and no metrics', async () => {
    for (const url of ['/health', '/health/live', '/api/v1/health/ready', '/metrics', '/api/v1/metrics']) {
      const answer = await ask('1.1.2.1', url);
      expect(answer.statusCode).toBe(200);
      expect(answer.headers).not.toHaveProperty('ratelimit-limit');
    }
    for (let i = 0; i < PER_MINUTE; i++) expect((await ask('1.1.2.1', '/no/such/path')).statusCode).toBe(404);
    expect((await ask('1.1.2.1', '/no/such/path')).statusCode).toBe(429);
    const submit = await api.app.inject({
      method: 'POST',
      url: '/api/v1/jobs',
      remoteAddress: '1.1.2.1',
      headers: { 'content-type': 'application/json' },
      payload: '{}',
    });
    expect(submit.statusCode).toBe(429);
    expect((await ask('1.1.2.1', '/health')).statusCode).toBe(200);
  });

  test("counts an IPv6 customer's network as one, and whoever stands behind a trusted proxy as himself", async () => {
    await exhaust('2001:db8:1:2::1');
    expect((await ask('2001:db8:1:2:ffff::2')).statusCode).toBe(429);
    expect((await ask('2001:db8:1:3::1')).statusCode).toBe(200);
    await exhaust('10.0.0.1', { 'x-forwarded-for': '1.1.3.1' });
    const behind = (address: string) =>
      ask('10.0.0.1', '/api/v1/jobs', { 'x-forwarded-for': `9.9.9.9, ${address}` });
    expect((await behind('1.1.3.1')).statusCode).toBe(429);
    expect((await behind('1.1.3.2')).statusCode).toBe(200);
  });
});

test('without the setting nothing is counted or loaded', async () => {
  await using open = await testApi();
  expect(open.app.hasDecorator('rateLimit')).toBe(false);
  expect((await open.get('/api/v1/jobs')).headers).not.toHaveProperty('ratelimit-limit');
});
