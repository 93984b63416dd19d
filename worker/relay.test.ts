import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createBusinessEvents } from '../observability/events.ts';
import { createLogger } from '../observability/log.ts';
import { createMetrics } from '../observability/metrics.ts';
import { requestCancel } from '../store/cancel.ts';
import { claimOutbox } from '../store/outbox.ts';
import { createSubmitter, type Submitter } from '../store/submit.ts';
import { clientKey, jobSpec, signedSpec, submitOf } from '../test/support/jobs.ts';
import { testDatabase, type TestDatabase } from '../test/support/postgres.ts';
import { reconcileOnce, startReconciler } from './reconciler.ts';
import { relayOnce, type RelayDeps } from './relay.ts';
import type { WorkflowStarter } from './temporal.ts';

let db: TestDatabase;
let submitter: Submitter;
const log = createLogger('test', 'silent');
const events = createBusinessEvents(log, createMetrics());

/** What Temporal is asked and answers; a test says how it behaves. */
interface ScriptedTemporal extends WorkflowStarter {
  started: string[];
  cancelled: string[];
  answer: 'started' | 'closed' | Error;
  known: 'open' | 'closed' | 'unknown' | Error;
  asked: 'asked' | 'gone';
}

function scriptedTemporal(): ScriptedTemporal {
  const script: ScriptedTemporal = {
    started: [],
    cancelled: [],
    answer: 'started',
    known: 'open',
    asked: 'asked',
    async start(_type, workflowId) {
      if (script.answer instanceof Error) throw script.answer;
      script.started.push(workflowId);
      return script.answer;
    },
    async cancel(workflowId) {
      script.cancelled.push(workflowId);
      return script.asked;
    },
    async look() {
      if (script.known instanceof Error) throw script.known;
      return script.known;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return script;
}

let temporal: ScriptedTemporal;
let deps: RelayDeps;

beforeAll(async () => {
  db = await testDatabase();
  submitter = createSubmitter({ pool: db.pool, notifier: { notify: () => undefined } });
});
afterAll(async () => {
  await submitter[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await db.pool.query('delete from outbox');
  temporal = scriptedTemporal();
  const wakeups = { next: () => Promise.resolve(), [Symbol.asyncDispose]: () => Promise.resolve() };
  deps = { pool: db.pool, temporal, events, workflowWindow: 100, wakeups };
});

async function submit(key = clientKey()): Promise<string> {
  const job = submitOf(signedSpec(jobSpec(), key));
  await submitter.submit(job);
  return job.id;
}
/** The row as if `seconds` had passed. */
const later = (seconds: number) =>
  db.pool.query(
    `update outbox set next_at = next_at - $1 * interval '1 second', leased_until = leased_until - $1 * interval '1 second'`,
    [seconds],
  );
const outbox = async (jobId: string): Promise<unknown[]> =>
  (
    await db.pool.query<Record<string, unknown>>(
      'select kind, sends, failures, quarantined_at is not null as quarantined from outbox where job_id = $1',
      [jobId],
    )
  ).rows;

describe('the relay', () => {
  it('starts one job of each key before the second of any', async () => {
    const flood = clientKey();
    for (let count = 0; count < 20; count++) await submit(flood);
    const single = await submit();
    await relayOnce({ ...deps, workflowWindow: 2 });
    expect(temporal.started).toHaveLength(2);
    expect(temporal.started).toContain(`job-${single}`);
  });

  it('lets a key with nothing open go before a key that fills the window', async () => {
    const flood = clientKey();
    for (let count = 0; count < 12; count++) await submit(flood);
    await relayOnce({ ...deps, workflowWindow: 4 });
    const single = await submit();
    await relayOnce({ ...deps, workflowWindow: 5 });
    expect(temporal.started.at(-1)).toBe(`job-${single}`);
  });

  it('keeps at most a window of jobs of one key in Temporal, and says when it is full', async () => {
    const key = clientKey();
    for (let count = 0; count < 6; count++) await submit(key);
    expect(await relayOnce({ ...deps, workflowWindow: 4 })).toEqual({ told: 4, full: true });
    expect(await relayOnce({ ...deps, workflowWindow: 4 })).toEqual({ told: 0, full: true });
    expect(temporal.started).toHaveLength(4);
    expect(await relayOnce({ ...deps, workflowWindow: 7 })).toEqual({ told: 2, full: false });
  });

  it('sends a start again after 30 s without a first step, and not before', async () => {
    const job = await submit();
    await relayOnce(deps);
    await relayOnce(deps);
    expect(temporal.started).toEqual([`job-${job}`]);
    await later(31);
    await relayOnce(deps);
    expect(temporal.started).toEqual([`job-${job}`, `job-${job}`]);
    expect(await outbox(job)).toMatchObject([{ kind: 'start', sends: 2 }]);
  });

  it('keeps a row and backs off while Temporal cannot be reached', async () => {
    const job = await submit();
    temporal.answer = new Error('14 UNAVAILABLE');
    await relayOnce(deps);
    expect(await outbox(job)).toMatchObject([{ failures: 1, sends: 0, quarantined: false }]);
    temporal.answer = 'started';
    await later(2);
    await relayOnce(deps);
    expect(temporal.started).toEqual([`job-${job}`]);
  });

  const invalid = () =>
    Object.assign(new Error('3 INVALID_ARGUMENT'), { code: 3, details: '', metadata: {} });

  it('quarantines a start that Temporal calls invalid, out of the window, and tries it again every hour', async () => {
    const job = await submit();
    temporal.answer = invalid();
    await relayOnce(deps);
    await later(60);
    await relayOnce(deps);
    expect(await outbox(job)).toMatchObject([{ failures: 1, quarantined: true }]);
    temporal.answer = 'started';
    const other = await submit();
    await relayOnce({ ...deps, workflowWindow: 1 });
    expect(temporal.started).toEqual([`job-${other}`]);
    await later(3_600);
    await relayOnce(deps);
    expect(temporal.started).toContain(`job-${job}`);
  });

  it('cancels again when the start was not there yet, and not when the job has none', async () => {
    const id = await submit();
    await requestCancel(db.pool, { jobId: id, actor: 'test' });
    temporal.asked = 'gone';
    await relayOnce(deps);
    await relayOnce(deps);
    expect(temporal.cancelled).toEqual([`job-${id}`]);
    await later(1);
    temporal.asked = 'asked';
    await relayOnce(deps);
    expect(temporal.cancelled).toEqual([`job-${id}`, `job-${id}`]);
    await db.pool.query("delete from outbox where kind = 'start'");
    await db.pool.query(
      "insert into outbox (kind, job_id, owner) select 'cancel', id, owner from jobs where id = $1",
      [id],
    );
    temporal.asked = 'gone';
    await relayOnce(deps);
    expect((await db.pool.query('select from outbox')).rowCount).toBe(0);
  });

  it('ends a cancelled job whose start is quarantined by a repair', async () => {
    const job = await submit();
    temporal.answer = invalid();
    await relayOnce(deps);
    await requestCancel(db.pool, { jobId: job, actor: 'test' });
    temporal.answer = 'started';
    await relayOnce(deps);
    expect(temporal.started).toEqual([`repair/${job}`]);
  });

  it('asks for a repair when the workflow is closed and the job is not ended', async () => {
    const job = await submit();
    temporal.answer = 'closed';
    await relayOnce(deps);
    expect(await outbox(job)).toMatchObject([{ kind: 'repair' }]);
    temporal.answer = 'started';
    await relayOnce(deps);
    expect(temporal.started.at(-1)).toBe(`repair/${job}`);
    expect(await outbox(job)).toEqual([]);
  });

  it('does not take rows that another relay holds', async () => {
    await submit();
    const claim = async () => (await claimOutbox(db.pool, { window: 100, batch: 10, leaseMs: 15_000 })).rows;
    const [first, second] = await Promise.all([claim(), claim()]);
    expect(first.length + second.length).toBe(1);
    await later(16);
    expect(await claim()).toHaveLength(1);
  });
});

describe('the reconciler', () => {
  const reconciling = () => ({
    pool: db.pool,
    temporal,
    log,
    everyMs: 0,
    absentForMs: 0,
    notifier: { notify: () => undefined, [Symbol.asyncDispose]: () => Promise.resolve() },
  });
  const look = () => reconcileOnce(reconciling());
  async function runningJob(): Promise<string> {
    const job = await submit();
    await db.pool.query(`update jobs set state = 'running' where id = $1`, [job]);
    await db.pool.query('delete from outbox');
    return job;
  }

  it('puts the start back when Temporal did not know the workflow twice', async () => {
    const job = await runningJob();
    temporal.known = 'unknown';
    await look();
    expect(await outbox(job)).toEqual([]);
    await look();
    expect(await outbox(job)).toMatchObject([{ kind: 'start' }]);
  });

  it('takes an unreachable Temporal for nothing', async () => {
    const job = await runningJob();
    temporal.known = new Error('14 UNAVAILABLE');
    await expect(look()).rejects.toThrow('UNAVAILABLE');
    await expect(look()).rejects.toThrow('UNAVAILABLE');
    expect(await outbox(job)).toEqual([]);
  });

  it('starts counting again when the workflow was seen in between', async () => {
    const job = await runningJob();
    temporal.known = 'unknown';
    await look();
    temporal.known = 'open';
    await look();
    temporal.known = 'unknown';
    await look();
    expect(await outbox(job)).toEqual([]);
  });

  it('asks for a repair of a job whose workflow closed', async () => {
    const job = await runningJob();
    temporal.known = 'closed';
    await look();
    expect(await outbox(job)).toMatchObject([{ kind: 'repair' }]);
  });

  it('goes on from page to page by itself, and begins anew after a fault', async () => {
    const jobs = [await runningJob(), await runningJob(), await runningJob()];
    temporal.known = new Error('14 UNAVAILABLE');
    await using loop = startReconciler({ ...reconciling(), everyMs: 3_600_000, pageJobs: 1 });
    await expect.poll(() => loop.strugglingMs()).toBeGreaterThan(50);
    temporal.known = 'closed';
    for (const job of jobs) {
      await expect.poll(() => outbox(job), { timeout: 10_000 }).toMatchObject([{ kind: 'repair' }]);
    }
    await expect.poll(() => loop.strugglingMs()).toBe(0);
  });
});
