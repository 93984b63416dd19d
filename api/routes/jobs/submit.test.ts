import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LIMITS } from '../../../domain/limits.ts';
import { jobSpec, signedJob, testApi, testKey, type TestApi } from '../../../test/support/api.ts';

const VECTORS = path.join(import.meta.dirname, '../../../test/vectors');

let api: TestApi;
beforeAll(async () => {
  api = await testApi();
});
afterAll(() => api[Symbol.asyncDispose]());

describe('a signed job', () => {
  test('is answered 202 and stands whole in the database: job, executions, event, outbox row, counter', async () => {
    const key = testKey();
    const spec = signedJob(key);
    const body = JSON.stringify(spec, null, 2);
    const before = await enqueued(api);
    const answer = await api.post(body);
    expect(answer).toMatchObject({ status: 202, json: { id: spec.id, status: 'enqueued' } });
    expect(answer.headers.location).toBe(`/api/v1/jobs/${String(spec.id)}`);
    const { rows: jobs } = await api.db.pool.query('select * from jobs where id = $1', [spec.id]);
    expect(jobs[0]).toMatchObject({
      owner: key.text,
      state: 'accepted',
      total: 6,
      open: 6,
      seq: 1,
      form: 'V0',
    });
    expect(jobs[0].raw).toEqual(Buffer.from(body));
    expect(jobs[0].request_sha256).toEqual(createHash('sha256').update(body).digest());
    const { rows: executions } = await api.db.pool.query<Record<string, unknown>>(
      'select idx, region, question, question_text, state from executions where job_id = $1 order by idx',
      [spec.id],
    );
    expect(executions.map((row) => [row.region, row.question, row.question_text])).toEqual(
      ['US', 'EU', 'APAC'].flatMap((region) => [
        [region, 0, 'Who are you?'],
        [region, 1, 'What can you do?'],
      ]),
    );
    const { rows: events } = await api.db.pool.query('select * from events where stream = $1', [
      `job:${String(spec.id)}`,
    ]);
    expect(events).toMatchObject([
      {
        seq: 1,
        type: 'job.accepted',
        position: 1,
        payload: { job_id: spec.id, executions: 6 },
        actor: `key:${key.text}`,
      },
    ]);
    expect(new Date(events[0].payload.timestamp).getTime()).toBeCloseTo(Date.now(), -5);
    const { rows: outbox } = await api.db.pool.query('select kind, owner from outbox where job_id = $1', [
      spec.id,
    ]);
    expect(outbox).toEqual([{ kind: 'start', owner: key.text }]);
    expect(await enqueued(api)).toBe(before + 1);
    expect(api.notified).toEqual(expect.arrayContaining(['outbox', 'feed']));
  });

  test('without an id gets one, and the same content again finds it', async () => {
    const spec = signedJob(testKey(), { id: undefined });
    const first = await api.post(spec);
    expect(first.status).toBe(202);
    expect(first.json.id).toMatch(/^job-/);
    expect(await api.post(spec)).toMatchObject({
      status: 200,
      json: { id: first.json.id, idempotent: true },
    });
  });

  test.each([
    ['job-002.json.signed.json', 'G0'],
    ['minimal.jobspec.signed.json', 'G1'],
    ['day1-live-job.signed.json', 'V0'],
    ['3-model-verification-job.signed.json', 'G2'],
  ])('signed long ago is taken under its own form: %s', async (file, form) => {
    const answer = await api.post(readFileSync(path.join(VECTORS, file)));
    expect(answer).toMatchObject({ status: 202 });
    const { rows } = await api.db.pool.query('select form from jobs where id = $1', [answer.json.id]);
    expect(rows[0].form).toMatch(new RegExp(`^${form}`));
  });

  test('keeps what any name of a member holds, also __proto__', async () => {
    const { signSpec } = await import('../../../domain/signing/sign.ts');
    const spec = signSpec(
      JSON.parse(`{"__proto__":{"a":1},${JSON.stringify(jobSpec()).slice(1)}`) as object,
      testKey(),
    );
    expect((await api.post(spec)).status).toBe(202);
    expect((await api.get(`/api/v1/jobs/${String(spec.id)}`)).text).toContain('"__proto__":{"a":1}');
  });
});

describe('a body that is refused names its reason', () => {
  const key = testKey();
  const valid = () => signedJob(key);
  const cases: [name: string, body: () => unknown, status: number, code: string, details?: object][] = [
    ['nothing', () => '', 400, 'invalid_body'],
    ['no JSON', () => '{"id": ', 400, 'invalid_json', { reason: 'syntax' }],
    [
      'a duration as text',
      () => ({ ...valid(), constraints: { regions: ['US'], timeout: '10m' } }),
      400,
      'validation_error',
    ],
    ['a key twice', () => '{"id":"a","id":"b"}', 400, 'invalid_json', { reason: 'duplicate_key' }],
    ['NUL', () => '{"id":"a\\u0000"}', 400, 'invalid_json', { reason: 'nul_character' }],
    ['a lone surrogate', () => '{"id":"\\ud800"}', 400, 'invalid_json', { reason: 'lone_surrogate' }],
    [
      'bytes that are no UTF-8',
      () => Buffer.from([0x7b, 0xff, 0x7d]),
      400,
      'invalid_json',
      { reason: 'invalid_utf8' },
    ],
    ['nesting of 65', () => '['.repeat(65) + ']'.repeat(65), 400, 'invalid_json', { reason: 'too_deep' }],
    ['an array', () => '[]', 400, 'validation_error'],
    [
      'an unknown region',
      () => ({ ...valid(), constraints: { regions: ['US', 'MOON'] } }),
      400,
      'validation_error',
      { field: 'constraints.regions[1]' },
    ],
    ['an id with a blank', () => ({ ...valid(), id: 'a b' }), 400, 'validation_error', { field: 'id' }],
    ['no signature', () => ({ ...valid(), signature: '' }), 400, 'missing_field:signature'],
    ['no key', () => ({ ...valid(), public_key: undefined }), 400, 'missing_field:public_key'],
    [
      'a key of 31 bytes',
      () => ({ ...valid(), public_key: Buffer.alloc(31, 7).toString('base64') }),
      400,
      'invalid_encoding:public_key',
    ],
    [
      'base64 that is not canonical',
      () => ({ ...valid(), public_key: key.text.replace(/.=$/, 'z=') }),
      400,
      'invalid_encoding:public_key',
    ],
    ['another name than was signed', () => ({ ...valid(), version: '1.1' }), 400, 'signature_mismatch'],
    [
      'a number beyond a double',
      () => '{"id":1e999}',
      400,
      'invalid_json',
      { reason: 'number_out_of_range' },
    ],
  ];
  test.each(cases)('%s', async (_name, body, status, code, details) => {
    const answer = await api.post(body());
    expect(answer).toMatchObject({
      status,
      json: { error_code: code, code, request_id: answer.headers['x-request-id'] },
    });
    expect(typeof answer.json.error).toBe('string');
    if (details !== undefined) expect(answer.json.details).toMatchObject(details);
  });

  test('a body above 1 MiB', async () => {
    expect(await api.post(Buffer.alloc(1024 * 1024 + 1, 0x20))).toMatchObject({
      status: 413,
      json: { code: 'body_too_large' },
    });
  });

  test('a body above 64 KiB of anything but a submit', async () => {
    const answer = await api.app.inject({
      method: 'POST',
      url: '/api/v1/jobs/any/cancel',
      headers: { 'content-type': 'application/json' },
      payload: JSON.stringify({ padding: 'x'.repeat(LIMITS.requestBodyBytes) }),
    });
    expect(answer.statusCode).toBe(413);
    expect(answer.json()).toMatchObject({ code: 'body_too_large' });
  });

  test.each([['text/plain'], ['application/x-www-form-urlencoded'], ['']])(
    'content type %j',
    async (type) => {
      expect(await api.post(valid(), { 'content-type': type })).toMatchObject({
        status: 400,
        json: { code: 'invalid_content_type' },
      });
    },
  );

  test.each([['gzip'], ['br'], ['deflate, gzip'], ['GZIP']])('Content-Encoding %s', async (encoding) => {
    const zipped = gzipSync(JSON.stringify(valid()));
    for (const url of ['/api/v1/jobs', '/api/v1/jobs/any/cancel']) {
      const answer = await api.app.inject({
        method: 'POST',
        url,
        headers: { 'content-type': 'application/json', 'content-encoding': encoding },
        payload: zipped,
      });
      expect([url, answer.statusCode, answer.json().code]).toEqual([
        url,
        415,
        'unsupported_content_encoding',
      ]);
      expect(answer.headers['accept-encoding']).toBe('identity');
    }
    expect((await api.post(valid(), { 'content-encoding': 'identity' })).status).toBe(202);
    // Of no body it says nothing.
    expect((await api.get('/api/v1/jobs', { 'content-encoding': encoding })).status).toBe(200);
  });

  test('an Idempotency-Key of 256 characters', async () => {
    expect(await api.post(valid(), { 'idempotency-key': 'k'.repeat(256) })).toMatchObject({
      status: 400,
      json: { code: 'validation_error', details: { field: 'Idempotency-Key' } },
    });
  });

  test('more than 1,000 executions', async () => {
    const answer = await api.post(
      signedJob(key, { questions: Array.from({ length: 334 }, (_, i) => `q${i}`) }),
    );
    expect(answer).toMatchObject({
      status: 400,
      json: { code: 'validation_error', details: { field: 'questions' } },
    });
  });
});

describe('what was seen before', () => {
  const key = testKey();

  test('the same bytes are the same job', async () => {
    const spec = signedJob(key);
    expect((await api.post(spec)).status).toBe(202);
    expect(await api.post(spec)).toMatchObject({ status: 200, json: { id: spec.id, idempotent: true } });
  });

  test('signed content that does not cover its id is a replay under another id', async () => {
    const { id, ...rest } = jobSpec();
    const { signSpec } = await import('../../../domain/signing/sign.ts');
    const signed = signSpec(rest, key);
    expect((await api.post({ ...signed, id })).status).toBe(202);
    expect(await api.post({ ...signed, id: `other-${String(id)}` })).toMatchObject({
      status: 400,
      json: { code: 'replay_detected', details: { job_id: id, reason: 'content_known' } },
    });
    expect(await api.post(signed)).toMatchObject({ status: 200, json: { id } });
  });

  test('a nonce again with other content is a replay', async () => {
    const metadata = { nonce: 'nonce-1' };
    const first = signedJob(key, { metadata });
    expect((await api.post(first)).status).toBe(202);
    expect(await api.post(signedJob(key, { metadata }))).toMatchObject({
      status: 400,
      json: { code: 'replay_detected', details: { job_id: first.id, reason: 'nonce_used' } },
    });
    expect((await api.post(signedJob(testKey(), { metadata }))).status).toBe(202);
  });

  test('an id of another key, and of other content, is taken', async () => {
    const { id } = signedJob(key);
    expect((await api.post(signedJob(key, { id }))).status).toBe(202);
    for (const other of [key, testKey()]) {
      expect(await api.post(signedJob(other, { id }))).toMatchObject({
        status: 409,
        json: { code: 'id_taken', details: { job_id: id } },
      });
    }
  });

  test("an Idempotency-Key belongs to the job's key and to one body", async () => {
    const headers = { 'idempotency-key': 'retry-1' };
    const spec = signedJob(key);
    expect((await api.post(spec, headers)).status).toBe(202);
    expect(await api.post(spec, headers)).toMatchObject({
      status: 200,
      json: { id: spec.id, idempotent: true },
    });
    expect(await api.post(signedJob(key), headers)).toMatchObject({
      status: 409,
      json: { code: 'idempotency_key_reused', details: { job_id: spec.id } },
    });
    expect((await api.post(signedJob(testKey()), headers)).status).toBe(202);
  });

  test('of many at once one is stored and the others find it', async () => {
    const spec = signedJob(key);
    const answers = await Promise.all(Array.from({ length: 60 }, () => api.post(spec)));
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(1);
    expect(answers.filter(({ json }) => json.idempotent === true)).toHaveLength(59);
  });
});

async function enqueued({ db }: TestApi): Promise<number> {
  const { rows } = await db.pool.query<{ n: number }>(
    `select sum(value)::int as n from counters where name = 'jobs_enqueued_total'`,
  );
  return rows[0]!.n;
}
