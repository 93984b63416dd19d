import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jobSpec, signedSpec, submitOf } from '../test/support/jobs.ts';
import { testDatabase, type TestDatabase } from '../test/support/postgres.ts';
import { JOB_STATES, type JobState } from '../domain/states.ts';
import { countExecutions, listExecutions, type ExecutionPosition } from './execution-reads.ts';
import { listJobs, type JobPosition } from './job-reads.ts';
import { STRANGER, type Viewer } from './principals.ts';
import { createSubmitter } from './submit.ts';

const OPERATOR: Viewer = { all: true, owner: null };
const owners = ['a', 'b'];
const viewers: [string, Viewer][] = [
  ['a stranger', STRANGER],
  ['an owner', { all: false, owner: 'a' }],
  ['an operator', OPERATOR],
];
const sees = ({ all, owner }: Viewer, row: { visibility: string; owner: string }) =>
  all || row.visibility === 'public' || row.owner === owner;

interface Listed {
  id: string;
  owner: string;
  visibility: 'public' | 'private';
  state: JobState;
  execution: string;
  at: string;
}

/** Jobs of all states, keys and visibilities in the order in which lists show them; some share their time. */
const LISTED: Listed[] = Array.from({ length: 120 }, (_, i) => ({
  id: `job-${String(i).padStart(3, '0')}`,
  owner: owners[i % 2]!,
  // Runs that a stranger does not see, longer than a page.
  visibility: i % 40 < 25 ? ('private' as const) : ('public' as const),
  state: JOB_STATES[Math.floor(i / 3) % JOB_STATES.length]!,
  execution: randomUUID(),
  at: new Date(Date.UTC(2026, 0, 1, 0, Math.floor(i / 4))).toISOString(),
})).toSorted((a, b) => (a.at === b.at ? (a.id < b.id ? 1 : -1) : a.at < b.at ? 1 : -1));

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
  for (const { id, owner, visibility, state, execution, at } of LISTED) {
    const submit = { ...submitOf(signedSpec(jobSpec({ id }))), owner, visibility };
    await using submitter = createSubmitter({ pool: db.pool, notifier: { notify: () => undefined } });
    await submitter.submit(submit);
    await db.pool.query('delete from outbox');
    await db.pool.query(`update executions set id = $2, created_at = $3 where job_id = $1`, [
      id,
      execution,
      at,
    ]);
    await db.pool.query(`update jobs set created_at = $2 where id = $1`, [id, at]);
    if (state !== 'accepted')
      await db.pool.query(
        `update jobs set state = $2, open = case when $2 = 'running' then 1 else 0 end, ended_at = now(), summary_cid = 'b'
         where id = $1`,
        [id, state],
      );
  }
});
afterAll(() => db[Symbol.asyncDispose]());

/** All pages of a list, one after the other. */
async function pages<Row extends { id: string; at: string }>(
  list: (after: { at: string; id: string } | undefined) => Promise<Row[]>,
): Promise<string[]> {
  const seen: string[] = [];
  for (let after: Row | undefined; ;) {
    const page = await list(after);
    seen.push(...page.map(({ id }) => id));
    if (page.length === 0) return seen;
    after = page.at(-1);
  }
}

describe.each(viewers)('what %s lists', (_name, viewer) => {
  it.each([undefined, ...JOB_STATES])(
    'of jobs (status %s) is all that he may see, newest first',
    async (state) => {
      const expected = LISTED.filter(
        (job) => sees(viewer, job) && (state === undefined || job.state === state),
      );
      const seen = await pages((after?: JobPosition) =>
        listJobs(db.pool, {
          limit: 7,
          viewer,
          ...(state === undefined ? {} : { state }),
          ...(after === undefined ? {} : { after }),
        }),
      );
      expect(seen).toEqual(expected.map(({ id }) => id));
    },
  );

  it('of executions is all that he may see, newest first, and as many as are counted', async () => {
    const byTime = LISTED.toSorted((a, b) =>
      a.at === b.at ? (a.execution < b.execution ? 1 : -1) : a.at < b.at ? 1 : -1,
    );
    const expected = byTime.filter((job) => sees(viewer, job)).map(({ execution }) => execution);
    const page = { limit: 7, outputBytes: 0 };
    const seen = await pages((after?: ExecutionPosition) =>
      listExecutions(db.pool, { ...page, offset: 0, ...(after === undefined ? {} : { after }) }, viewer),
    );
    expect(seen).toEqual(expected);
    const later = await listExecutions(db.pool, { ...page, offset: 30 }, viewer);
    expect(later.map(({ id }) => id)).toEqual(expected.slice(30, 37));
    expect(await countExecutions(db.pool, viewer)).toBe(expected.length);
  });
});
