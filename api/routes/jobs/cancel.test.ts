import { afterAll, beforeAll, expect, test } from 'vitest';
import { OPERATOR_TOKEN, signedJob, testApi, testKey, type TestApi } from '../../../test/support/api.ts';

let api: TestApi;
const key = testKey();
beforeAll(async () => {
  api = await testApi();
});
afterAll(() => api[Symbol.asyncDispose]());

const submit = async (over: Record<string, unknown> = {}): Promise<string> =>
  (await api.post(signedJob(key, over))).json.id as string;

async function cancel(id: string, body?: object, headers: Record<string, string> = {}) {
  const answer = await api.app.inject({
    method: 'POST',
    url: `/api/v1/jobs/${id}/cancel`,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
  });
  return { status: answer.statusCode, json: answer.json<Record<string, unknown>>() };
}
const operator = { authorization: `Bearer ${OPERATOR_TOKEN}` };

test("the job's key cancels it: flag, event and outbox row, all or none", async () => {
  const id = await submit();
  expect(await cancel(id, key.request({ action: 'cancel', job_id: id }))).toEqual({
    status: 202,
    json: { job_id: id, previous_status: 'accepted', cancel_requested: true },
  });
  const { rows: jobs } = await api.db.pool.query(
    'select cancel_requested_at, state, seq from jobs where id = $1',
    [id],
  );
  expect(jobs[0]).toMatchObject({ cancel_requested_at: expect.any(Date), state: 'accepted', seq: 2 });
  const { rows: events } = await api.db.pool.query(
    'select type, seq, actor from events where job_id = $1 order by seq',
    [id],
  );
  expect(events.at(-1)).toEqual({ type: 'job.cancel_requested', seq: 2, actor: `key:${key.text}` });
  const { rows: outbox } = await api.db.pool.query('select kind from outbox where job_id = $1 order by id', [
    id,
  ]);
  expect(outbox).toEqual([{ kind: 'start' }, { kind: 'cancel' }]);
});

test.each([
  ['a bearer token', operator],
  ['X-Admin-Token', { 'x-admin-token': OPERATOR_TOKEN }],
])('an operator cancels with %s and without a body', async (_name, headers) => {
  expect((await cancel(await submit(), undefined, headers)).status).toBe(202);
});

test('asking again is the same answer and no second event', async () => {
  const id = await submit();
  await cancel(id, undefined, operator);
  expect((await cancel(id, undefined, operator)).status).toBe(202);
  const { rows } = await api.db.pool.query(
    `select from events where job_id = $1 and type = 'job.cancel_requested'`,
    [id],
  );
  expect(rows).toHaveLength(1);
});

test('a job that ended is left as it is', async () => {
  const id = await submit();
  await api.db.pool.query(`delete from outbox where job_id = $1`, [id]);
  await api.db.pool.query(
    `update jobs set state = 'completed', open = 0, ended_at = now(), summary_cid = 'b' where id = $1`,
    [id],
  );
  expect(await cancel(id, undefined, operator)).toEqual({
    status: 200,
    json: { job_id: id, previous_status: 'completed', cancel_requested: false },
  });
});

test('who may not is told why', async () => {
  const id = await submit();
  const hidden = await submit({ visibility: 'private' });
  const stranger = testKey();
  const good = key.request({ action: 'cancel', job_id: id });
  const cases: [string, number, string, () => ReturnType<typeof cancel>][] = [
    ['nobody', 401, 'unauthorized', () => cancel(id)],
    ['no bearer', 401, 'invalid_auth_format', () => cancel(id, undefined, { authorization: 'Basic abc' })],
    ['a wrong token', 403, 'invalid_token', () => cancel(id, undefined, { authorization: 'Bearer abc' })],
    ['another key', 403, 'forbidden', () => cancel(id, stranger.request({ action: 'cancel', job_id: id }))],
    [
      'another key, private job',
      404,
      'job_not_found',
      () => cancel(hidden, stranger.request({ action: 'cancel', job_id: hidden })),
    ],
    ['an unknown job', 404, 'job_not_found', () => cancel('unknown', undefined, operator)],
    ['a changed request', 401, 'invalid_signed_request', () => cancel(id, { ...good, nonce: 'other' })],
    [
      'a request about another job',
      401,
      'invalid_signed_request',
      () => cancel(id, key.request({ action: 'cancel', job_id: hidden })),
    ],
    [
      'a request for something else',
      401,
      'invalid_signed_request',
      () => cancel(id, key.request({ action: 'retry', job_id: id })),
    ],
    [
      'a stale request',
      401,
      'invalid_signed_request',
      () => cancel(id, key.request({ action: 'cancel', job_id: id, timestamp: '2025-01-01T00:00:00Z' })),
    ],
    ['no object', 401, 'invalid_signed_request', () => cancel(id, [])],
  ];
  for (const [name, status, code, ask] of cases)
    expect(await ask(), name).toMatchObject({ status, json: { code } });
  const { rows } = await api.db.pool.query('select cancel_requested_at from jobs where id = any($1)', [
    [id, hidden],
  ]);
  expect(rows.every((row) => row.cancel_requested_at === null)).toBe(true);
});

test('the owner of a private job cancels it', async () => {
  const id = await submit({ visibility: 'private' });
  expect((await cancel(id, key.request({ action: 'cancel', job_id: id }))).status).toBe(202);
});

test('a nonce is good once', async () => {
  const [first, second] = [await submit(), await submit()];
  const nonce = 'once';
  expect((await cancel(first, key.request({ action: 'cancel', job_id: first, nonce }))).status).toBe(202);
  expect(await cancel(second, key.request({ action: 'cancel', job_id: second, nonce }))).toMatchObject({
    status: 400,
    json: { code: 'replay_detected' },
  });
});
