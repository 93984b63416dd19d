import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Outcome } from '../backends/backend.ts';
import { createBusinessEvents } from '../observability/events.ts';
import { createLogger } from '../observability/log.ts';
import { createMetrics } from '../observability/metrics.ts';
import { beginAttempt } from '../store/begin-attempt.ts';
import { getBlob } from '../store/blobs.ts';
import { createSubmitter } from '../store/submit.ts';
import type { WorkRow } from '../store/work.ts';
import { jobSpec, signedSpec, submitOf } from '../test/support/jobs.ts';
import { testDatabase, type TestDatabase } from '../test/support/postgres.ts';
import type { Attester } from './attester.ts';
import { stageBytes, type HeldBytes } from './stage-bytes.ts';
import { stageAttempt } from './stage-outcome.ts';

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db[Symbol.asyncDispose]());

const events = createBusinessEvents(createLogger('test', 'silent'), createMetrics());

async function begun(): Promise<{ jobId: string; row: WorkRow }> {
  await using submitter = createSubmitter({ pool: db.pool, notifier: { notify: () => undefined } });
  const job = submitOf(signedSpec(jobSpec()));
  await submitter.submit(job);
  const limits = { timeoutMs: 60_000, providerTimeoutMs: 60_000 };
  const answer = await beginAttempt(db.pool, {
    jobId: job.id,
    index: 0,
    attempt: 1,
    backend: 'local',
    region: 'US',
    ...limits,
  });
  if (answer.kind !== 'begun') throw new Error(`the attempt is ${answer.kind}`);
  return { jobId: job.id, row: answer.work };
}

const outcome = (output: Outcome['output']): Outcome => ({
  placement: {
    backend: 'local',
    provider: 'test',
    region: { requested: 'US', claimed: null, observed: null, verified: false, method: 'none' },
  },
  imageRequested: 'builtin:echo',
  imageExecuted: null,
  isolation: 'process',
  startedAt: new Date().toISOString(),
  durationMs: 1,
  output,
  files: [],
  limits: {},
  exitCode: 0,
});

it('an outcome that cannot be attested at once is kept, with its output, for the workflow to attest', async () => {
  const { jobId, row } = await begun();
  const held: HeldBytes = new Map();
  const output = await stageBytes(db.pool, Buffer.from('an answer'), held);
  const attester: Attester = {
    attest: () => Promise.reject(new Error('not asked')),
    // Fails after everything was written, which the transaction takes back.
    settle: async (_job, _index, stage) => {
      const client = await db.pool.connect();
      await client.query('begin');
      await stage(client);
      await client.query('rollback');
      client.release();
      throw new Error('the receipt key is gone');
    },
  };
  const staging = { pool: db.pool, jobId, row, held, attester, events };
  expect(await stageAttempt(staging, outcome(output), undefined)).toBe('staged');
  const { rows } = await db.pool.query(
    'select a.state, e.state as execution from attempts a join executions e on e.id = a.execution_id where e.id = $1',
    [row.executionId],
  );
  expect(rows).toEqual([{ state: 'succeeded', execution: 'running' }]);
  expect(String(await getBlob(db.pool, Buffer.from(output.sha256, 'hex')))).toBe('an answer');
});
