import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OPERATOR_TOKEN, signedJob, testApi, testKey, type TestApi } from '../../../test/support/api.ts';
import { decodeCursor, encodeCursor } from '../cursor.ts';

let api: TestApi;
const key = testKey();
beforeAll(async () => {
  api = await testApi();
});
afterAll(() => api[Symbol.asyncDispose]());

const submit = async (over: Record<string, unknown> = {}): Promise<string> => {
  const answer = await api.post(signedJob(key, over));
  expect(answer.status).toBe(202);
  return answer.json.id as string;
};

describe('one job', () => {
  test('carries its spec, its state and where the rest is; the signed bytes stand at its spec link', async () => {
    const spec = signedJob(key);
    const body = JSON.stringify(spec, null, 1);
    await api.post(body);
    const { status, json } = await api.get(`/api/v1/jobs/${String(spec.id)}`);
    expect(status).toBe(200);
    expect(json).toMatchObject({
      status: 'accepted',
      job: {
        id: spec.id,
        status: 'accepted',
        benchmark: spec.benchmark,
        questions: spec.questions,
        counts: { total: 6, open: 6, completed: 0 },
      },
    });
    expect(json).not.toHaveProperty('executions');
    expect((await api.get(json.job.links.spec)).text).toBe(body);
  });

  test('shows its executions when asked, pages of them, and none as latest before there is a receipt', async () => {
    const id = await submit();
    const all = await api.get(`/api/v1/jobs/${id}?include=all`);
    expect(all.json.executions).toHaveLength(6);
    expect(all.json.executions[3]).toMatchObject({
      job_id: id,
      index: 3,
      status: 'pending',
      region: 'EU',
      question_id: '1',
      question: 'What can you do?',
      has_receipt: false,
      receipt_id: null,
      started_at: null,
      completed_at: null,
      output: null,
    });
    const page = await api.get(`/api/v1/jobs/${id}?include=executions&exec_limit=2&exec_offset=3`);
    expect(page.json.executions).toMatchObject([{ index: 3 }, { index: 4 }]);
    expect((await api.get(`/api/v1/jobs/${id}?include=latest`)).json.executions).toEqual([]);
    for (const path of ['executions', 'executions/all']) {
      expect((await api.get(`/api/v1/jobs/${id}/${path}`)).json).toMatchObject({
        job_id: id,
        total: 6,
        executions: { length: 6 },
      });
    }
  });

  test('tells how often an execution was tried in the words of older clients', async () => {
    const id = await submit({ constraints: { regions: ['US'], fallback_regions: ['EU'] }, questions: [] });
    const { rows } = await api.db.pool.query('select id from executions where job_id = $1', [id]);
    const execution: string = rows[0].id;
    await api.db.pool.query(
      `insert into attempts (execution_id, attempt, state, backend, region, fence, budget_ms, failure, created_at)
       values ($1, 1, 'failed', 'local', 'US', 1, 1000, '{"code": "provider_lost", "message": "gone away", "retryable": true, "mendable": false, "source": "provider"}', '2026-01-01Z'),
              ($1, 2, 'lost', 'local', 'US', 2, 1000, null, '2026-01-02Z'),
              ($1, 3, 'active', 'local', 'US', 3, 1000, null, '2026-01-03Z')`,
      [execution],
    );
    const tried = {
      retry_count: 2,
      // Three tries in each of two regions, the first of which is no retry.
      max_retries: 5,
      last_retry_at: '2026-01-03T00:00:00.000Z',
      retry_history: [
        { attempt: 1, status: 'failed', failure: { code: 'provider_lost' } },
        { attempt: 2, status: 'lost' },
      ],
      original_error: 'gone away',
      system_prompt: null,
    };
    expect((await api.get(`/api/v1/executions/${execution}/details`)).json).toMatchObject(tried);
    expect((await api.get(`/api/v1/jobs/${id}/executions/all`)).json.executions).toMatchObject([tried]);
    const untried = await submit();
    expect((await api.get(`/api/v1/jobs/${untried}/executions/all`)).json.executions[0]).toMatchObject({
      retry_count: 0,
      last_retry_at: null,
      retry_history: [],
      original_error: null,
    });
  });

  test('shows nothing that can never be known', async () => {
    const id = await submit();
    expect((await api.get(`/api/v1/jobs/${id}`)).json.job).not.toHaveProperty('failure');
    const { executions } = (await api.get(`/api/v1/jobs/${id}/executions`)).json;
    expect(executions[0]).not.toHaveProperty('detail');
  });

  test('has its events in order, from after the one that was read', async () => {
    const id = await submit();
    const first = await api.get(`/api/v1/jobs/${id}/events`);
    expect(first.json).toMatchObject({
      job_id: id,
      events: [{ seq: 1, type: 'job.accepted', payload: { executions: 6 } }],
      next_after_seq: 1,
    });
    expect((await api.get(`/api/v1/jobs/${id}/events?after_seq=1`)).json).toMatchObject({
      events: [],
      next_after_seq: 1,
    });
  });

  test.each(['', '/events', '/executions', '/spec'])('that nobody knows is 404 at …%s', async (path) => {
    expect(await api.get(`/api/v1/jobs/nobody-knows${path}`)).toMatchObject({
      status: 404,
      json: { error: 'job not found', error_code: 'job_not_found' },
    });
  });
});

describe('a private job', () => {
  test('is unknown to everybody but an operator', async () => {
    const id = await submit({ visibility: 'private' });
    const { rows } = await api.db.pool.query('select id from executions where job_id = $1 limit 1', [id]);
    const execution: string = rows[0].id;
    const operator = { authorization: `Bearer ${OPERATOR_TOKEN}` };
    for (const path of [
      `jobs/${id}`,
      `jobs/${id}/events`,
      `jobs/${id}/executions`,
      `jobs/${id}/spec`,
      `executions/${execution}/details`,
      `executions/${execution}/logs`,
    ]) {
      expect((await api.get(`/api/v1/${path}`)).status, path).toBe(404);
      expect((await api.get(`/api/v1/${path}`, operator)).status, path).toBe(200);
    }
    const listed = (answer: { text: string }) => answer.text.includes(id);
    expect(listed(await api.get('/api/v1/jobs?limit=200'))).toBe(false);
    expect(listed(await api.get('/api/v1/jobs?limit=200', operator))).toBe(true);
    expect(listed(await api.get('/api/v1/executions?limit=100'))).toBe(false);
    expect(listed(await api.get('/api/v1/executions?limit=100', operator))).toBe(true);
    expect((await api.get('/api/v1/executions')).json.total).toBeLessThan(
      (await api.get('/api/v1/executions', operator)).json.total,
    );
  });
});

describe('the list of executions', () => {
  test('goes on by cursor from page to page, and by offset only so far', async () => {
    await using paged = await testApi();
    for (const questions of [['a'], ['b', 'c']]) await paged.post(signedJob(key, { questions }));
    const seen: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const { json } = await paged.get(`/api/v1/executions?limit=2&cursor=${cursor}`);
      expect(json.total).toBe(9);
      seen.push(...(json.executions as { id: string }[]).map(({ id }) => id));
      cursor = json.next_cursor;
    }
    const { json: all } = await paged.get('/api/v1/executions?limit=100');
    expect(seen).toEqual((all.executions as { id: string }[]).map(({ id }) => id));
    expect((await paged.get('/api/v1/executions?offset=8')).json.executions).toMatchObject([{ id: seen[8] }]);
    expect((await paged.get('/api/v1/executions?offset=10000')).json.executions).toEqual([]);
    expect(await paged.get('/api/v1/executions?offset=10001')).toMatchObject({
      status: 400,
      json: {
        code: 'validation_error',
        error: expect.stringContaining('cursor'),
        details: { field: 'offset' },
      },
    });
    for (const id of ['no-uuid', key.text.slice(0, 4)]) {
      const cursor = encodeCursor({ at: '2026-01-01T00:00:00.000000Z', id });
      expect((await paged.get(`/api/v1/executions?cursor=${cursor}`)).json.code).toBe('invalid_cursor');
    }
  });

  test('counts without reading executions, and private ones for those who see them only', async () => {
    await using counted = await testApi();
    const total = async (headers = {}): Promise<unknown> =>
      (await counted.get('/api/v1/executions', headers)).json.total;
    await counted.post(signedJob(key, { visibility: 'private' }));
    await Promise.all(Array.from({ length: 5 }, () => counted.post(signedJob(key))));
    expect([await total(), await total({ authorization: `Bearer ${OPERATOR_TOKEN}` })]).toEqual([30, 36]);
    const { rows } = await counted.db.pool.query(
      `select sum(value)::int as n from counters where name = 'executions_public'`,
    );
    expect(rows).toEqual([{ n: 30 }]);
  });
});

describe('the list of jobs', () => {
  test('is [] and never null when it is empty', async () => {
    await using empty = await testApi();
    expect((await empty.get('/api/v1/jobs')).json).toEqual({ jobs: [], next_cursor: null });
    expect((await empty.get('/api/v1/executions')).json).toEqual({
      executions: [],
      limit: 10,
      offset: 0,
      total: 0,
      next_cursor: null,
    });
  });

  test.each([['queued'], ['created'], ['accepted']])(
    'takes %s as the status of a job that waits',
    async (word) => {
      const id = await submit();
      expect((await api.get(`/api/v1/jobs?status=${word}`)).json.jobs[0].id).toBe(id);
      expect((await api.get('/api/v1/jobs?status=processing')).json.jobs).toEqual([]);
    },
  );

  test('refuses an unknown status and a foreign cursor, and ignores a limit that is none', async () => {
    expect(await api.get('/api/v1/jobs?status=maybe')).toMatchObject({
      status: 400,
      json: { code: 'validation_error', details: { field: 'status' } },
    });
    expect(await api.get('/api/v1/jobs?cursor=AAAA')).toMatchObject({
      status: 400,
      json: { code: 'invalid_cursor' },
    });
    for (const limit of ['0', '201', '-1', 'many', '1.5'])
      expect((await api.get(`/api/v1/jobs?limit=${limit}`)).status).toBe(200);
  });

  test('paged while jobs come in loses and repeats none of those that were there', async () => {
    await using paged = await testApi();
    const spec = () => signedJob(key, { constraints: { regions: ['US'] }, questions: [] });
    const there = await Promise.all(
      Array.from({ length: 23 }, async () => (await paged.post(spec())).json.id as string),
    );
    for (const limit of [1, 4, 7, 23, 50]) {
      const seen: string[] = [];
      let cursor: string | null = '';
      while (cursor !== null) {
        const page = paged.get(`/api/v1/jobs?limit=${limit}&cursor=${cursor}`);
        await paged.post(spec());
        const { jobs, next_cursor } = (await page).json as {
          jobs: { id: string }[];
          next_cursor: string | null;
        };
        seen.push(...jobs.map((job) => job.id));
        cursor = next_cursor;
      }
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen.filter((id) => there.includes(id)).toSorted()).toEqual(there.toSorted());
    }
  });

  test('gives cursors that lead back to where they were made', () => {
    const id = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/);
    const at = fc
      .date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true })
      .map((date) => date.toISOString().replace('Z', '123Z'));
    fc.assert(
      fc.property(id, at, (id, at) => {
        expect(decodeCursor(encodeCursor({ at, id }))).toEqual({ at, id });
      }),
    );
  });
});
