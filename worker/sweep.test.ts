import { Client, Connection, ScheduleNotFoundError } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSweepActivities, type Books } from '../activities/sweep.ts';
import { decimalOf } from '../domain/money/decimal.ts';
import { createBusinessEvents } from '../observability/events.ts';
import { createLogger } from '../observability/log.ts';
import { createMetrics } from '../observability/metrics.ts';
import { beginAttempt } from '../store/begin-attempt.ts';
import { readWallet } from '../store/golem-reads.ts';
import { holdCost, readJobCost } from '../store/payments.ts';
import { withTransaction } from '../store/pool.ts';
import { createSubmitter } from '../store/submit.ts';
import { recordExternalIds, stageOutcome } from '../store/work.ts';
import { eventually } from '../test/support/eventually.ts';
import { jobSpec, signedSpec, submitOf } from '../test/support/jobs.ts';
import { testDatabase, type TestDatabase } from '../test/support/postgres.ts';
import { testTemporal } from '../test/support/temporal.ts';
import { forgetBreaker, reportBreaker } from '../store/breakers.ts';
import { applySweepSchedule, retireSweepSchedule, SWEEP } from './sweep-schedule.ts';
import { startTemporalWorkers } from './temporal-workers.ts';

const log = createLogger('test', 'silent');
const PLATFORM = 'erc20-hoodi-tglm';
const WORKER = '00000000-0000-4000-8000-000000000001';
const AT_REST = {
  state: 'closed',
  forced: false,
  requests: 0,
  successes: 0,
  failures: 0,
  rejected: 0,
  lastFailure: null,
} as const;
let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db[Symbol.asyncDispose]());

/** A job with one lost attempt for each agreement named, each with 1 GLM held. */
async function lostAttempts(agreements: string[]): Promise<string> {
  await using submitter = createSubmitter({ pool: db.pool, notifier: { notify: () => undefined } });
  const job = submitOf(signedSpec(jobSpec({ questions: agreements.map((one) => `what of ${one}?`) })), {
    backends: { '*': ['golem'] },
  });
  await submitter.submit(job);
  const limits = { timeoutMs: 60_000, providerTimeoutMs: 30_000 };
  for (const [index, agreement] of agreements.entries()) {
    const where = { jobId: job.id, index, attempt: 1, backend: 'golem', region: 'US' };
    const begun = await beginAttempt(db.pool, { ...where, ...limits });
    if (begun.kind !== 'begun') throw new Error(begun.kind);
    const { work } = begun;
    await holdCost(db.pool, work, job.id, { platform: PLATFORM, cap: decimalOf(1) }, null);
    await recordExternalIds(db.pool, work, { agreement });
    const lost = { state: 'lost', outcome: null, failure: null, durationMs: null } as const;
    await withTransaction(db.pool, (tx) =>
      stageOutcome(tx, work, { ...lost, files: [], blobs: [], jobId: job.id }),
    );
  }
  return job.id;
}

test('a scheduled sweep settles what ended attempts owe, and what fails or waits is for the next one', async () => {
  const job = await lostAttempts(['billed', 'waiting', 'broken']);
  const temporal = await testTemporal();
  const settings = { address: temporal.address, namespace: temporal.namespace, taskQueue: 'beacon' };
  const released: string[] = [];
  let settled = false;
  const books: Books = {
    platform: PLATFORM,
    invoicesSince: async () => [
      { invoiceId: 'i', agreementId: 'billed', amount: '0.3', status: settled ? 'SETTLED' : 'ACCEPTED' },
    ],
    async release({ agreement }) {
      released.push(agreement!);
      if (agreement === 'broken') throw new Error('yagna answers 500');
      return { agreement: agreement!, allocation: null };
    },
    isBilled: () => true,
    settle: async ({ ids }) =>
      ids.agreement === 'billed'
        ? { result: 'accepted', amount: decimalOf('0.3') }
        : { result: 'waiting', note: 'no invoice has come yet' },
    refuse: () => Promise.reject(new Error('there is nothing late')),
    isSettled: ({ agreement }) => settled && agreement === 'billed',
    balance: async () => decimalOf('7'),
  };
  const metrics = createMetrics();
  const events = createBusinessEvents(log, metrics);
  const deps = { pool: db.pool, backend: 'golem', books, events, committed: () => undefined };
  await using _workers = await startTemporalWorkers(
    settings,
    [
      { name: 'beacon', activities: {} },
      { name: 'backend-golem', activities: createSweepActivities(deps) },
    ],
    log,
  );
  const connection = await Connection.connect({ address: temporal.address });
  try {
    const client = new Client({ connection, namespace: temporal.namespace });
    const sweep = async (times: number): Promise<string> => {
      await client.schedule.getHandle(SWEEP).trigger();
      return eventually(async () => {
        const done: string[] = [];
        for await (const { workflowId, status } of client.workflow.list())
          if (workflowId.startsWith(SWEEP) && status.name === 'COMPLETED') done.push(workflowId);
        return done.length === times ? done.at(0) : undefined;
      });
    };
    await applySweepSchedule(settings, 3_600_000);
    const done = await sweep(1);
    expect(released.toSorted()).toEqual(['billed', 'broken', 'waiting']);
    expect(await readJobCost(db.pool, job)).toEqual([
      { platform: PLATFORM, accepted: decimalOf('0.3'), held: decimalOf(2), settled: decimalOf(0) },
    ]);
    const { rows } = await db.pool.query<{ note: string }>(
      'select note from payments where job_id = $1 and note is not null order by note',
      [job],
    );
    expect(rows.map(({ note }) => note)).toEqual(['no invoice has come yet', 'yagna answers 500']);
    expect(await readWallet(db.pool)).toMatchObject({ platform: PLATFORM, balance: decimalOf(7) });
    expect(await metrics.shared.metrics()).toContain('golem_swept_total{result="failed"} 1');
    const handle = client.workflow.getHandle(done);
    if (process.env.BEACON_RECORD_HISTORIES === '1') {
      const history = JSON.parse(historyToJSON(await handle.fetchHistory())) as object;
      const folder = path.join(import.meta.dirname, '../test/histories/sweep');
      await mkdir(folder, { recursive: true });
      await writeFile(path.join(folder, 'completed.json'), `${JSON.stringify({ id: done, history })}\n`);
    }

    settled = true;
    await sweep(2);
    expect(await readJobCost(db.pool, job)).toMatchObject([{ settled: decimalOf('0.3') }]);

    // Golem is switched off: its last worker goes, and the schedule with it, until the next one comes.
    const schedule = client.schedule.getHandle(SWEEP);
    await reportBreaker(db.pool, { name: 'yagna', process: WORKER, ...AT_REST });
    expect(await retireSweepSchedule(settings, db.pool)).toBe(false);
    await schedule.describe();
    await forgetBreaker(db.pool, 'yagna', WORKER);
    for (let times = 0; times < 2; times++) expect(await retireSweepSchedule(settings, db.pool)).toBe(true);
    await expect(schedule.describe()).rejects.toThrow(ScheduleNotFoundError);
    await applySweepSchedule(settings, 3_600_000);
    await schedule.describe();
  } finally {
    await connection.close();
  }
});
