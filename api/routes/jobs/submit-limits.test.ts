import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LIMITS } from '../../../domain/limits.ts';
import { createPool } from '../../../store/pool.ts';
import { signedJob, testApi, testKey, type TestApi } from '../../../test/support/api.ts';
import { testDatabase } from '../../../test/support/postgres.ts';

describe('while trust is enforced', () => {
  const trusted = testKey();
  const known = { revoked: testKey(), expired: testKey(), not_yet_valid: testKey() };
  let strict: TestApi;
  beforeAll(async () => {
    strict = await testApi({
      trust: {
        enforce: true,
        keysJson: JSON.stringify([
          { kid: 'a', public_key: trusted.text.replace(/=+$/, ''), status: 'active' },
          { kid: 'b', public_key: known.revoked.text, status: 'revoked' },
          { kid: 'c', public_key: known.expired.text, not_after: '2025-01-01T00:00:00Z' },
          { kid: 'd', public_key: known.not_yet_valid.text, not_before: '2999-01-01T00:00:00Z' },
        ]),
      },
    });
  });
  afterAll(() => strict[Symbol.asyncDispose]());
  const timed = (metadata: unknown) => signedJob(trusted, { metadata });
  const at = (offsetMs: number) => new Date(Date.now() + offsetMs).toISOString();

  test('a fresh spec of a trusted key is taken', async () => {
    expect((await strict.post(signedJob(trusted))).status).toBe(202);
  });

  test.each(['revoked', 'expired', 'not_yet_valid'] as const)(
    'a key that is %s is refused',
    async (state) => {
      expect(await strict.post(signedJob(known[state]))).toMatchObject({
        status: 400,
        json: { code: `trust_violation:${state}` },
      });
    },
  );

  test('an unknown key is refused', async () => {
    expect(await strict.post(signedJob(testKey()))).toMatchObject({
      status: 400,
      json: { code: 'trust_violation:unknown' },
    });
  });

  test.each([
    ['no metadata', () => undefined, 'missing_field:metadata', undefined],
    ['no timestamp', () => ({ nonce: 'n' }), 'missing_field:timestamp', undefined],
    ['a number as timestamp', () => ({ nonce: 'n', timestamp: 1 }), 'invalid_field:timestamp', undefined],
    ['no time', () => ({ nonce: 'n', timestamp: 'yesterday' }), 'timestamp_invalid', 'format_invalid'],
    ['too old', () => ({ nonce: 'n', timestamp: at(-11 * 60_000) }), 'timestamp_invalid', 'too_old'],
    [
      'too far ahead',
      () => ({ nonce: 'n', timestamp: at(6 * 60_000) }),
      'timestamp_invalid',
      'too_far_in_future',
    ],
    ['no nonce', () => ({ timestamp: at(0) }), 'missing_field:nonce', undefined],
  ])('%s', async (_name, metadata, code, reason) => {
    const answer = await strict.post(timed(metadata()));
    expect(answer).toMatchObject({ status: 400, json: { code } });
    if (reason !== undefined) expect(answer.json.details.reason).toBe(reason);
  });
});

describe('limits', () => {
  test('failures of one key from one address end in 429, other keys go on until the address has too many', async () => {
    await using limited = await testApi({ failuresPerMinute: { perAddress: 4, perAddressAndKey: 2 } });
    const key = testKey();
    const bad = (signer = key) => limited.post({ ...signedJob(signer), version: 'changed' });
    expect((await bad()).status).toBe(400);
    expect((await bad()).status).toBe(400);
    const refused = await limited.post(signedJob(key));
    expect(refused).toMatchObject({ status: 429, json: { code: 'rate_limit_exceeded' } });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect((await limited.post(signedJob(testKey()))).status).toBe(202);
    expect((await bad(testKey())).status).toBe(400);
    expect((await bad(testKey())).status).toBe(400);
    expect((await limited.post(signedJob(testKey()))).status).toBe(429);
  });

  test('of many bad large bodies at once only as many are judged as may fail, whatever is wrong with them', async () => {
    await using limited = await testApi({ failuresPerMinute: { perAddress: 3, perAddressAndKey: 3 } });
    const padding = 'x'.repeat(LIMITS.specVerifiedInlineBytes);
    const large = () => signedJob(testKey(), { padding });
    const bad = [
      () => ({ ...large(), version: 'changed' }),
      () => `${JSON.stringify(large())}}`,
      () => ({ ...large(), constraints: {} }),
      () => ({ ...large(), constraints: { regions: ['US'], backends: ['nowhere'] } }),
    ];
    expect((await limited.post(large())).status).toBe(202);
    const answers = await Promise.all(Array.from({ length: 8 }, (_, i) => limited.post(bad[i % 4]!())));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([400, 400, 400, 429, 429, 429, 429, 429]);
    expect((await limited.post(large())).json.code).toBe('rate_limit_exceeded');
    expect((await limited.post(signedJob(testKey()))).json.code).toBe('rate_limit_exceeded');
  });

  test('large bodies of one key that failed too often count against the address', async () => {
    await using limited = await testApi({ failuresPerMinute: { perAddress: 3, perAddressAndKey: 1 } });
    const key = testKey();
    const bad = () =>
      limited.post({
        ...signedJob(key, { padding: 'x'.repeat(LIMITS.specVerifiedInlineBytes) }),
        version: '9',
      });
    expect((await bad()).status).toBe(400);
    expect((await bad()).status).toBe(429);
    expect((await limited.post(signedJob(testKey()))).status).toBe(202);
    expect((await bad()).status).toBe(429);
    expect((await limited.post(signedJob(testKey()))).status).toBe(429);
  });

  test('a full backlog answers 429 and stores nothing', async () => {
    await using full = await testApi({ backlogLimit: 1 });
    expect((await full.post(signedJob(testKey()))).status).toBe(202);
    await expect
      .poll(async () => (await full.post(signedJob(testKey()))).json.code as string, { timeout: 5_000 })
      .toBe('backlog_full');
    expect((await full.post(signedJob(testKey()))).headers['retry-after']).toBe('30');
  });

  test('without a database a submit is 503 and says nothing of the inside', async () => {
    const pool = createPool({ databaseUrl: 'postgres://nobody@127.0.0.1:1/none', name: 'test' });
    await using down = await testApi({ pool });
    const answer = await down.post(signedJob(testKey()));
    expect(answer).toMatchObject({
      status: 503,
      json: { code: 'persistence_unavailable', error: 'persistence unavailable' },
    });
    expect(answer.text).not.toContain('127.0.0.1');
  });

  test('that cannot be told from a replay is 503 under its own code', async () => {
    const other = await testDatabase();
    const pool = new Proxy(other.pool, {
      get: (target, name) =>
        name === 'query'
          ? (query: { name?: string }, ...values: never[]) =>
              query.name === 'submit-clashes'
                ? Promise.reject(Object.assign(new Error('cut'), { code: 'ECONNRESET' }))
                : target.query(query as never, ...values)
          : (Reflect.get(target, name) as unknown),
    });
    {
      await using cut = await testApi({ pool });
      const spec = signedJob(testKey());
      expect((await cut.post(spec)).status).toBe(202);
      expect(await cut.post(spec)).toMatchObject({
        status: 503,
        json: { code: 'protection_unavailable:replay' },
      });
    }
    await other[Symbol.asyncDispose]();
  });
});
