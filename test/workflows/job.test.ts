import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requestCancel } from '../../store/cancel.ts';
import { requestRepair } from '../../store/outbox.ts';
import { relayOnce } from '../../worker/relay.ts';
import { startCore, type Core } from '../support/core.ts';
import { scriptedBackend, type Act, type ScriptedBackend } from '../support/scripted-backend.ts';
import { expectWhole } from '../support/whole-job.ts';
import type { Work } from '../../backends/backend.ts';

let core: Core;
let backend: ScriptedBackend;
/** What the backend does, by job image: each test names its own. */
const scripts = new Map<string, (work: Work, attempt: number) => Act>();
const answer: Act = { kind: 'answer', text: 'hello' };

beforeAll(async () => {
  backend = scriptedBackend((work) => (scripts.get(work.image) ?? (() => answer))(work, work.attempt));
  core = await startCore(backend);
});
afterAll(() => core[Symbol.asyncDispose]());

async function executions(jobId: string): Promise<Record<string, unknown>[]> {
  const { rows } = await core.db.pool.query<Record<string, unknown>>(
    'select idx, state, region, region_ran, attempt, failure from executions where job_id = $1 order by idx',
    [jobId],
  );
  return rows;
}

describe('a job', () => {
  it('with one execution ends completed in one activity', async () => {
    const job = await core.start();
    expect(await core.ended(job)).toBe('completed');
    await expectWhole(core, job);
    expect((await core.history(`job-${job}`, 'job/completed-at-once')).length).toBeLessThanOrEqual(13);
  });

  it('tries again after a failure of the provider', async () => {
    scripts.set('builtin:flaky', (_, attempt) =>
      attempt === 1 ? { kind: 'fail', code: 'provider_lost' } : answer,
    );
    const job = await core.start({ image: 'builtin:flaky' });
    expect(await core.ended(job)).toBe('completed');
    expect(await executions(job)).toMatchObject([{ state: 'completed', attempt: 2 }]);
    await core.history(`job-${job}`, 'job/retried');
  });

  it('runs the same image everywhere, although its tag leads somewhere else at each attempt', async () => {
    let looks = 0;
    const found = (): Act => ({
      kind: 'answer',
      text: 'hello',
      digest: `sha256:${(++looks).toString().padStart(64, '0')}`,
    });
    scripts.set('example.org/moving:latest', (_, attempt) =>
      attempt === 1 && looks > 3 ? { kind: 'fail', code: 'provider_lost' } : found(),
    );
    const job = await core.start({
      image: 'example.org/moving:latest',
      regions: ['US', 'EU', 'APAC'],
      questions: ['one?', 'two?'],
    });
    expect(await core.ended(job)).toBe('completed');
    const { rows } = await core.db.pool.query<{ requested: string; executed: string }>(
      `select distinct convert_from(b.bytes, 'UTF8')::json ->> 'image_requested' as requested,
              convert_from(b.bytes, 'UTF8')::json ->> 'image_executed' as executed
       from receipts r join blocks b on b.digest = r.digest where r.job_id = $1`,
      [job],
    );
    const pinned = await core.db.pool.query('select image, digest from job_images where job_id = $1', [job]);
    expect(rows).toHaveLength(1);
    expect(pinned.rows).toEqual([{ image: rows[0]!.requested, digest: rows[0]!.executed }]);
  });

  it('goes to a fallback region and says so', async () => {
    scripts.set('builtin:not-in-us', (work) =>
      work.region === 'US' ? { kind: 'throw', message: 'no route' } : answer,
    );
    const job = await core.start({ image: 'builtin:not-in-us', constraints: { fallback_regions: ['EU'] } });
    expect(await core.ended(job)).toBe('completed');
    expect(await executions(job)).toMatchObject([
      { region: 'US', region_ran: 'EU', state: 'completed', attempt: 4 },
    ]);
    const { rows } = await core.db.pool.query(
      `select payload from events where stream = $1 and type = 'execution.fallback'`,
      [`job:${job}`],
    );
    expect(rows).toMatchObject([{ payload: { from_region: 'US', to_region: 'EU' } }]);
    await core.history(`job-${job}`, 'job/fallback');
  });

  it('fails with its reason when the program fails', async () => {
    scripts.set('builtin:broken', () => ({ kind: 'fail', code: 'exit_nonzero' }));
    const job = await core.start({ image: 'builtin:broken' });
    expect(await core.ended(job)).toBe('failed');
    expect(await executions(job)).toMatchObject([
      { state: 'failed', attempt: 1, failure: { code: 'exit_nonzero' } },
    ]);
    await expectWhole(core, job);
    await core.history(`job-${job}`, 'job/failed');
  });

  it('that is cancelled while it runs stops its attempts and attests them', async () => {
    scripts.set('builtin:hang', () => ({ kind: 'hang' }));
    const before = backend.begun.length;
    const job = await core.start({ image: 'builtin:hang', questions: ['one?', 'two?'] });
    await backend.untilBegun(before + 2);
    expect(await requestCancel(core.db.pool, { jobId: job, actor: 'test' })).toMatchObject({
      kind: 'requested',
    });
    await relayOnce(core.relay);
    expect(await core.ended(job)).toBe('cancelled');
    expect(await executions(job)).toMatchObject([{ state: 'cancelled' }, { state: 'cancelled' }]);
    await expectWhole(core, job);
    await core.history(`job-${job}`, 'job/cancelled');
  });

  it('that is cancelled before it starts never runs', async () => {
    const before = backend.begun.length;
    const job = await core.submit({ image: 'builtin:never' });
    await requestCancel(core.db.pool, { jobId: job, actor: 'test' });
    await relayOnce({ ...core.relay, workflowWindow: 0 });
    expect(await core.ended(job)).toBe('cancelled');
    expect(backend.begun.slice(before).filter((work) => work.image === 'builtin:never')).toEqual([]);
    await expectWhole(core, job);
    await core.history(`job-${job}`, 'job/cancelled-early');
  });

  it('keeps an answer that was there before the cancellation', async () => {
    scripts.set('builtin:half', (work) =>
      new TextDecoder().decode(work.input).includes('one?') ? answer : { kind: 'hang' },
    );
    const before = backend.begun.length;
    const job = await core.start({ image: 'builtin:half', questions: ['one?', 'two?'] });
    await backend.untilBegun(before + 2);
    await requestCancel(core.db.pool, { jobId: job, actor: 'test' });
    await relayOnce(core.relay);
    expect(await core.ended(job)).toBe('cancelled');
    expect(await executions(job)).toMatchObject([{ state: 'completed' }, { state: 'cancelled' }]);
  });

  it('whose deadline passes is expired', async () => {
    scripts.set('builtin:late', () => ({ kind: 'hang' }));
    const job = await core.start({ image: 'builtin:late' }, { deadlineMs: 1_500 });
    expect(await core.ended(job)).toBe('expired');
    expect(await executions(job)).toMatchObject([
      { state: 'expired', failure: { code: 'deadline_exceeded' } },
    ]);
    await expectWhole(core, job);
    await core.history(`job-${job}`, 'job/expired');
  });

  it('with 120 executions runs in children and ends completed', async () => {
    const questions = Array.from({ length: 120 }, (_, index) => `question ${index}?`);
    const job = await core.start({ questions });
    expect(await core.ended(job)).toBe('completed');
    await expectWhole(core, job);
    await core.history(`job-${job}`, 'job/parts');
    await core.history(`job-${job}/0`, 'job-part/completed');
  }, 60_000);

  it('whose spec a later version can no longer read still ends, with its reason', async () => {
    const job = await core.submit();
    const owner = new pg.Client({ connectionString: core.db.url });
    await owner.connect();
    await owner.query(`update beacon.jobs set raw = '{}' where id = $1`, [job]);
    await owner.end();
    await relayOnce(core.relay);
    expect(await core.ended(job)).toBe('failed');
    expect(await executions(job)).toMatchObject([{ state: 'failed', failure: { code: 'backend_error' } }]);
    await expectWhole(core, job);
  });

  it('whose workflow was terminated is ended by a repair', async () => {
    scripts.set('builtin:orphan', () => ({ kind: 'hang' }));
    const before = backend.begun.length;
    const job = await core.start({ image: 'builtin:orphan' });
    await backend.untilBegun(before + 1);
    await core.client.workflow.getHandle(`job-${job}`).terminate('test');
    await requestRepair(core.db.pool, job);
    await relayOnce(core.relay);
    expect(await core.ended(job)).toBe('failed');
    expect(await executions(job)).toMatchObject([{ state: 'failed', failure: { code: 'workflow_closed' } }]);
    await expectWhole(core, job);
    await core.history(`repair/${job}`, 'repair/completed');
  });
});

describe('a job whose backends run in workers without a receipt key', () => {
  let apart: Core;
  beforeAll(async () => {
    apart = await startCore(backend, { attestsAtOnce: false });
  });
  afterAll(() => apart[Symbol.asyncDispose]());

  it('with one execution ends completed within 19 history events', async () => {
    const job = await apart.start();
    expect(await apart.ended(job)).toBe('completed');
    await expectWhole(apart, job);
    expect((await apart.history(`job-${job}`, 'job/completed')).length).toBeLessThanOrEqual(19);
  });

  it('with six executions ends completed within 80 history events', async () => {
    const job = await apart.start({ regions: ['US', 'EU', 'APAC'], questions: ['one?', 'two?'] });
    expect(await apart.ended(job)).toBe('completed');
    await expectWhole(apart, job);
    expect((await apart.history(`job-${job}`, 'job/completed-six')).length).toBeLessThanOrEqual(80);
  });
});
