import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decimalOf } from '../domain/money/decimal.ts';
import { jobSpec, signedSpec, submitOf } from '../test/support/jobs.ts';
import { testDatabase, type TestDatabase } from '../test/support/postgres.ts';
import { beginAttempt } from './begin-attempt.ts';
import {
  acceptCost,
  holdCost,
  listUnknownCosts,
  listUnpaidCosts,
  noteCost,
  readJobCost,
  settleCost,
} from './payments.ts';
import { withTransaction } from './pool.ts';
import { createSubmitter, type Submitter } from './submit.ts';
import { stageOutcome, type WorkRow } from './work.ts';

const PLATFORM = 'erc20-hoodi-tglm';
const QUESTIONS = 8;

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

async function submit(): Promise<string> {
  const questions = Array.from({ length: QUESTIONS }, (_, i) => `question ${i}?`);
  const job = submitOf(signedSpec(jobSpec({ questions })), { backends: { '*': ['golem'] } });
  await submitter.submit(job);
  return job.id;
}

async function begun(jobId: string, index: number, attempt = 1): Promise<WorkRow> {
  const answer = await beginAttempt(db.pool, {
    jobId,
    index,
    attempt,
    backend: 'golem',
    region: 'US',
    timeoutMs: 60_000,
    providerTimeoutMs: 30_000,
  });
  if (answer.kind !== 'begun') throw new Error(`attempt ${attempt} is ${answer.kind}`);
  return answer.work;
}

const hold = (jobId: string, work: WorkRow, cap: string, maxCost: string | null) =>
  holdCost(db.pool, work, jobId, { platform: PLATFORM, cap: decimalOf(cap) }, maxCost && decimalOf(maxCost));

const lose = (work: WorkRow, jobId: string) =>
  withTransaction(db.pool, (tx) =>
    stageOutcome(tx, work, {
      state: 'lost',
      outcome: null,
      failure: null,
      durationMs: null,
      files: [],
      blobs: [],
      jobId,
    }),
  );

describe('the budget of a job', () => {
  it('is never held twice by attempts at once', async () => {
    const job = await submit();
    const works = await Promise.all(Array.from({ length: QUESTIONS }, (_, index) => begun(job, index)));
    const answers = await Promise.all(works.map((work) => hold(job, work, '0.3', '1')));
    expect(answers.filter(({ kind }) => kind === 'held')).toHaveLength(3);
    for (const answer of answers)
      if (answer.kind !== 'held') expect(answer).toEqual({ kind: 'refused', left: decimalOf('0.1') });
    expect(await readJobCost(db.pool, job)).toMatchObject([{ held: decimalOf('0.9') }]);
  });

  it('is held to the last digit', async () => {
    const job = await submit();
    const [first, second] = [await begun(job, 0), await begun(job, 1)];
    expect(await hold(job, first, '0.999999999999999999', '1')).toEqual({ kind: 'held' });
    expect(await hold(job, second, '0.000000000000000002', '1')).toMatchObject({ kind: 'refused' });
    expect(await hold(job, second, '0.000000000000000001', '1')).toEqual({ kind: 'held' });
  });

  it('counts what an attempt really cost once that is known, and its whole cap until then', async () => {
    const job = await submit();
    const [first, second] = [await begun(job, 0), await begun(job, 1)];
    await hold(job, first, '0.8', '1');
    expect(await hold(job, second, '0.5', '1')).toEqual({ kind: 'refused', left: decimalOf('0.2') });
    expect(await acceptCost(db.pool, first, decimalOf('0.4'))).toBe(true);
    expect(await hold(job, second, '0.5', '1')).toEqual({ kind: 'held' });
  });

  it('without a bound holds anything, and an attempt may hold another cap instead', async () => {
    const job = await submit();
    const work = await begun(job, 0);
    expect(await hold(job, work, '5', null)).toEqual({ kind: 'held' });
    expect(await hold(job, work, '7', '10')).toEqual({ kind: 'held' });
    expect(await readJobCost(db.pool, job)).toMatchObject([{ held: decimalOf('7') }]);
  });

  it('is not held by an attempt that was fenced off', async () => {
    const job = await submit();
    const zombie = await begun(job, 0);
    await lose(zombie, job);
    await begun(job, 0, 2);
    expect(await hold(job, zombie, '0.1', '1')).toEqual({ kind: 'fenced' });
    expect(await readJobCost(db.pool, job)).toEqual([]);
  });
});

describe('what an attempt cost', () => {
  it('is written down once', async () => {
    const job = await submit();
    const work = await begun(job, 0);
    await hold(job, work, '1', null);
    const amount = decimalOf('0.123456789012345678');
    expect(await acceptCost(db.pool, work, amount)).toBe(true);
    expect(await acceptCost(db.pool, work, decimalOf('9'))).toBe(false);
    expect(await readJobCost(db.pool, job)).toEqual([
      { platform: PLATFORM, accepted: amount, held: decimalOf(0), settled: decimalOf(0) },
    ]);
  });

  it('is looked for while it is not known, and only after its attempt has ended', async () => {
    const job = await submit();
    const [running, ended] = [await begun(job, 0), await begun(job, 1)];
    await hold(job, running, '1', null);
    await hold(job, ended, '1', null);
    await lose(ended, job);
    const listed = async () =>
      (await listUnknownCosts(db.pool, 'golem', 1_000)).filter(({ executionId }) =>
        [running.executionId, ended.executionId].includes(executionId),
      );
    expect(await listed()).toMatchObject([{ executionId: ended.executionId, attempt: 1, cap: decimalOf(1) }]);
    await noteCost(db.pool, ended, 'no invoice yet');
    expect((await listUnknownCosts(db.pool, 'golem', 1_000)).at(-1)?.executionId).toBe(ended.executionId);
    await acceptCost(db.pool, ended, decimalOf('0.2'));
    expect(await listed()).toEqual([]);
  });

  it('is paid once, and nothing is paid of nothing', async () => {
    const job = await submit();
    const [paid, free] = [await begun(job, 0), await begun(job, 1)];
    for (const work of [paid, free]) await hold(job, work, '1', null);
    await acceptCost(db.pool, paid, decimalOf('0.5'));
    await acceptCost(db.pool, free, decimalOf(0));
    const unpaid = (await listUnpaidCosts(db.pool, 'golem', 1_000)).map(({ executionId }) => executionId);
    expect(unpaid).toContain(paid.executionId);
    expect(unpaid).not.toContain(free.executionId);
    expect([await settleCost(db.pool, paid), await settleCost(db.pool, paid)]).toEqual([true, false]);
    expect(await settleCost(db.pool, free)).toBe(false);
    expect(await readJobCost(db.pool, job)).toMatchObject([{ settled: decimalOf('0.5') }]);
    const { rows } = await db.pool.query<{ payload: object }>(
      `select payload from events where job_id = $1 and type = 'payment.settled'`,
      [job],
    );
    expect(rows).toMatchObject([
      { payload: { execution_id: paid.executionId, platform: PLATFORM, amount: decimalOf('0.5') } },
    ]);
  });
});
