import { afterAll, beforeAll, expect, test } from 'vitest';
import { testDatabase, type TestDatabase } from '../test/support/postgres.ts';
import { unspokenJobs } from './reconcile.ts';

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db[Symbol.asyncDispose]());

test('every open job that no row of the outbox speaks for is found once, however small the pages and equal the times', async () => {
  const { rows } = await db.pool.query<{ id: string; expected: boolean }>(
    `with job as (
       insert into jobs (id, owner, form, message_sha256, request_sha256, raw, name, plan, visibility, state, total, open, created_at,
         ended_at, summary_cid)
       select 'job-' || n, 'key', 'P1', sha256(n::text::bytea), sha256(n::text::bytea), '', '', '{}',
         (array['public', 'private'])[1 + n % 2], (array['accepted', 'running', 'failed'])[1 + n / 2 % 3],
         1, case when n / 2 % 3 = 2 then 0 else 1 end, now() - n / 24 * interval '1 second', now(), 'cid'
       from generate_series(0, 119) as n returning id, state
     ), told as (
       insert into outbox (kind, job_id, owner)
       select (array['start', 'cancel', 'repair'])[1 + substr(id, 5)::int / 6 % 3], id, 'key' from job
       where substr(id, 5)::int % 5 < 4 returning job_id, kind
     )
     select id, state <> 'failed' and not exists (select from told where job_id = id and kind <> 'cancel') as expected from job`,
  );
  const expected = rows.filter((row) => row.expected).map(({ id }) => id);
  expect(expected.length).toBeGreaterThan(20);
  for (const pageJobs of [1, 3, 7, 1_000]) {
    const found: string[] = [];
    for await (const ids of unspokenJobs(db.pool, pageJobs)) {
      expect(ids.length).toBeLessThanOrEqual(pageJobs);
      found.push(...ids);
    }
    expect(found.toSorted()).toEqual(expected.toSorted());
  }
});
