import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRegionEvidence } from '../../../backends/golem/region-evidence.ts';
import { expectProbe, findProbe } from '../../../store/region-probes.ts';
import { testApi, type TestApi } from '../../../test/support/api.ts';

let api: TestApi;
beforeAll(async () => {
  api = await testApi({ trustedProxies: ['127.0.0.9'] });
});
afterAll(() => api[Symbol.asyncDispose]());

const ECHO = 'https://api.example/';
const COUNTRIES: Record<string, string> = { '127.0.0.2': 'US', '127.0.0.3': 'DE', '203.0.113.5': 'JP' };
const evidence = () =>
  createRegionEvidence({
    nonces: {
      expect: (nonce) => expectProbe(api.db.pool, nonce),
      seen: (sha256) => findProbe(api.db.pool, sha256),
    },
    echoUrl: ECHO,
    geo: {
      database: 'loopback',
      builtAt: '2026-01-01T00:00:00.000Z',
      countryOf: (address) => COUNTRIES[address] ?? null,
    },
  });
const ask = async (url: string, remoteAddress: string, headers: Record<string, string> = {}) => {
  expect(url.startsWith(ECHO)).toBe(true);
  const answer = await api.app.inject({ url: url.slice(ECHO.length - 1), remoteAddress, headers });
  return answer.statusCode;
};

it('the source address of the request with the nonce becomes the observed region', async () => {
  const source = evidence();
  const probe = await source.expectProbe(randomUUID(), 1);
  expect(await source.observed(probe.nonce)).toBeNull();
  expect(await ask(probe.url, '127.0.0.3')).toBe(204);
  expect(await source.observed(probe.nonce)).toMatchObject({
    address: '127.0.0.3',
    country: 'DE',
    region: 'EU',
    geoip: { database: 'loopback' },
  });
});

it('a nonce is good once: who comes second changes nothing', async () => {
  const source = evidence();
  const probe = await source.expectProbe(randomUUID(), 1);
  const [first, second] = [await ask(probe.url, '127.0.0.3'), await ask(probe.url, '127.0.0.2')];
  expect([first, second]).toEqual([204, 404]);
  expect(await source.observed(probe.nonce)).toMatchObject({ region: 'EU' });
});

it('what the request says of its address is believed of a trusted proxy alone', async () => {
  const source = evidence();
  const [direct, proxied] = [
    await source.expectProbe(randomUUID(), 1),
    await source.expectProbe(randomUUID(), 1),
  ];
  const headers = { 'x-forwarded-for': '203.0.113.5' };
  await ask(direct.url, '127.0.0.2', headers);
  await ask(proxied.url, '127.0.0.9', headers);
  expect(await source.observed(direct.nonce)).toMatchObject({ region: 'US' });
  expect(await source.observed(proxied.nonce)).toMatchObject({ region: 'APAC' });
});

it('nonces that nobody expects, or that are too old, are not known', async () => {
  expect(await ask(`${ECHO}api/v1/echo/${'x'.repeat(32)}`, '127.0.0.2')).toBe(404);
  const source = evidence();
  const probe = await source.expectProbe(randomUUID(), 1);
  await api.db.pool.query(`update region_probes set expires_at = now() - interval '1 second'`);
  expect(await ask(probe.url, '127.0.0.2')).toBe(404);
  expect(await source.observed(probe.nonce)).toBeNull();
});

it('an IPv4 address that came through an IPv6 socket is told as such', async () => {
  const source = evidence();
  const probe = await source.expectProbe(randomUUID(), 1);
  await ask(probe.url, '::ffff:127.0.0.2');
  expect(await source.observed(probe.nonce)).toMatchObject({ address: '127.0.0.2', region: 'US' });
});

it('nothing can be probed without an address of ours and a database', async () => {
  const without = createRegionEvidence({
    nonces: { expect: () => Promise.reject(new Error('not asked')), seen: () => Promise.resolve(undefined) },
    echoUrl: null,
    geo: null,
  });
  expect(without.canProbe).toBe(false);
  await expect(without.expectProbe(randomUUID(), 1)).rejects.toThrow(/GOLEM_ECHO_URL/);
});
