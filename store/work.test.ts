import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jobSpec, signedSpec, submitOf, type SpecOptions } from '../test/support/jobs.ts';
import { testDatabase, type TestDatabase } from '../test/support/postgres.ts';
import { requestCancel } from './cancel.ts';
import { createSubmitter, type Submitter } from './submit.ts';
import { appendAttemptLogs } from './attempt-logs.ts';
import { beginAttempt, type Begun } from './begin-attempt.ts';
import { withTransaction } from './pool.ts';
import { recordExternalIds, stageOutcome, type StagedOutcome, type WorkRow } from './work.ts';

let db: TestDatabase;
let submitter: Submitter;
beforeAll(async () => {
  db = await testDatabase();
  submitter = createSubmitter({ pool: db.pool, notifier: { notify: () => undefined } });
});
afterAll(async () => {
  await submitter[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});

async function submit(options?: SpecOptions): Promise<string> {
  const job = submitOf(signedSpec(jobSpec(options)));
  await submitter.submit(job);
  return job.id;
}

const begin = (jobId: string, attempt: number, timeoutMs = 60_000): Promise<Begun> =>
  beginAttempt(db.pool, {
    jobId,
    index: 0,
    attempt,
    backend: 'local',
    region: 'US',
    timeoutMs,
    providerTimeoutMs: 30_000,
  });

async function begun(jobId: string, attempt: number, timeoutMs?: number): Promise<WorkRow> {
  const answer = await begin(jobId, attempt, timeoutMs);
  if (answer.kind !== 'begun') throw new Error(`attempt ${attempt} is ${answer.kind}`);
  return answer.work;
}

const stage = (work: WorkRow, jobId: string, staged: Partial<StagedOutcome> = {}) =>
  withTransaction(db.pool, (tx) =>
    stageOutcome(tx, work, {
      state: 'succeeded',
      outcome: {},
      failure: null,
      durationMs: 1,
      files: [],
      blobs: [],
      jobId,
      ...staged,
    }),
  );

describe('an attempt', () => {
  it('never begins twice under one number', async () => {
    const job = await submit();
    await begun(job, 1);
    expect(await begin(job, 1)).toMatchObject({ kind: 'lost', next: 2, known: false });
    expect(await begin(job, 1)).toMatchObject({ kind: 'lost', next: 2, known: true });
  });

  it('that succeeded is found by a workflow that starts from its first line again', async () => {
    const job = await submit();
    await begun(job, 1);
    await begin(job, 1);
    await stage(await begun(job, 2), job);
    expect(await begin(job, 1)).toMatchObject({ kind: 'lost', next: 2 });
    expect(await begin(job, 2)).toMatchObject({ kind: 'staged', attempt: { state: 'succeeded' } });
  });

  it('that was fenced off writes nothing any more', async () => {
    const job = await submit();
    const zombie = await begun(job, 1);
    await begin(job, 1);
    expect(await recordExternalIds(db.pool, zombie, { container: 'x' })).toBe(false);
    expect(await stage(zombie, job)).toBe(false);
    await appendAttemptLogs(db.pool, zombie, [{ seq: 1, timeUs: 1, source: 'stdout', line: 'late' }]);
    const { rows } = await db.pool.query('select from attempt_logs where execution_id = $1', [
      zombie.executionId,
    ]);
    expect(rows).toEqual([]);
  });

  it('that is kept again, because the first answer was lost, is still kept', async () => {
    const job = await submit();
    const work = await begun(job, 1);
    expect(await stage(work, job)).toBe(true);
    expect(await stage(work, job)).toBe(true);
    expect(await stage(work, job, { state: 'lost' })).toBe(false);
  });

  it('gets what the earlier ones left of the time', async () => {
    const job = await submit();
    const first = await begun(job, 1, 40_000);
    expect(first.budgetMs).toBe(30_000);
    await stage(first, job, { state: 'failed', durationMs: 25_000 });
    expect((await begun(job, 2, 40_000)).budgetMs).toBe(15_000);
  });

  it('that a forgotten workflow cancelled does not stop a job that nobody cancelled', async () => {
    const job = await submit();
    const work = await begun(job, 1);
    await stage(work, job, { state: 'cancelled', outcome: null, durationMs: null });
    expect(await begin(job, 1)).toMatchObject({ kind: 'lost', next: 2 });
    await requestCancel(db.pool, { jobId: job, actor: 'test' });
    expect(await begin(job, 1)).toEqual({ kind: 'stopped', reason: 'cancelled' });
  });

  it('and a cancel of its job never wait for each other', async () => {
    for (let round = 0; round < 30; round++) {
      const job = await submit();
      const [answer, cancelled] = await Promise.all([
        begin(job, 1),
        requestCancel(db.pool, { jobId: job, actor: 'test' }),
      ]);
      expect(['begun', 'stopped']).toContain(answer.kind);
      expect(cancelled.kind).toBe('requested');
    }
  });
});
