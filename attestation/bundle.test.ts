import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createAttester } from '../activities/attester.ts';
import { createBusinessEvents } from '../observability/events.ts';
import { createLogger } from '../observability/log.ts';
import { createMetrics } from '../observability/metrics.ts';
import { submitOf, jobSpec, signedSpec } from '../test/support/jobs.ts';
import { testDatabase, type TestDatabase } from '../test/support/postgres.ts';
import { sequence } from '../test/support/sequence.ts';
import { formatVkey } from '../domain/log/vkey.ts';
import { specVerifier } from '../domain/receipt/spec-facts.ts';
import { verifyBundle } from '../domain/receipt/verify.ts';
import { createSubmitter } from '../store/submit.ts';
import { executionBundle, jobBundle } from './bundle.ts';
import { generateLogKey } from './keys/log-key.ts';
import { nodeVerifiers } from './keys/node-verifiers.ts';
import { generateReceiptKey } from './keys/receipt-key.ts';
import { loadLog } from './log/load.ts';
import { openLog } from './log/open.ts';
import { registerFirstReceiptKey } from './log/receipt-keys.ts';
import { createLogReader } from './log/reader.ts';
import { fixedSigning } from './receipt/signing.ts';

const tools = { verifiers: nodeVerifiers, verifySpec: specVerifier(nodeVerifiers) };

let db: TestDatabase;
beforeEach(async () => {
  db = await testDatabase();
});
afterEach(() => db[Symbol.asyncDispose]());

describe('bundles of an attested job', () => {
  it('are refused as pending until everything is in the log, then verify offline', async () => {
    const { pool } = db;
    const key = generateReceiptKey();
    const log = await openLog(pool, { origin: 'example.org/log' });
    await registerFirstReceiptKey(pool, log.logId, key);
    const reader = createLogReader(pool, log.logId);
    const jobId = await attestedJob(log.logId, key);
    const { rows } = await pool.query<{ id: string }>('select id from executions order by idx');

    await expect(jobBundle(pool, reader, jobId)).rejects.toMatchObject({ code: 'pending' });
    await expect(executionBundle(pool, reader, rows[0]!.id)).rejects.toMatchObject({ code: 'pending' });
    expect(await jobBundle(pool, reader, 'unknown')).toBeUndefined();
    expect(await executionBundle(pool, reader, '0197a000-0000-7000-8000-000000000000')).toBeUndefined();

    const signer = generateLogKey().signerFor(log.origin);
    let loaded = await loadLog(pool, log.logId, undefined);
    for (let entries = 1; entries > 0;) {
      ({ log: loaded, entries } = await sequence(pool, log.logId, loaded, signer));
    }
    const trust = { vkeys: [formatVkey(signer)], origin: 'example.org/log' };
    const job = verifyBundle(await parsed(jobBundle(pool, reader, jobId)), trust, tools);
    expect(job).toMatchObject({ ok: true, kind: 'job', jobId, outcome: 'cancelled', treeSize: 11 });
    expect(job.ok && job.executions.map((execution) => execution.executionId)).toEqual(
      rows.map((row) => row.id),
    );
    for (const { id } of rows) {
      const execution = verifyBundle(await executionBundle(pool, reader, id), trust, tools);
      expect(execution).toMatchObject({ ok: true, executions: [{ executionId: id, outcome: 'cancelled' }] });
    }
  });
});

/** The whole of a bundle that comes in pieces. */
async function parsed(bundle: ReturnType<typeof jobBundle>): Promise<unknown> {
  let text = '';
  for await (const piece of (await bundle)!.pieces) text += piece;
  return JSON.parse(text);
}

/** Three regions with three questions each, more receipts than are read at once, ended before anything ran, by the real `attest`. */
async function attestedJob(logId: string, key: ReturnType<typeof generateReceiptKey>): Promise<string> {
  const { pool } = db;
  await using submitter = createSubmitter({ pool, notifier: { notify: () => undefined } });
  const raw = signedSpec(jobSpec({ regions: ['US', 'EU', 'APAC'], questions: ['Who?', 'Where?', 'When?'] }));
  const job = { ...submitOf(raw), form: tools.verifySpec(raw).form };
  await submitter.submit(job);
  const { attest } = createAttester({
    pool,
    signing: fixedSigning(logId, key),
    software: { name: 'beacon', version: 'test' },
    events: createBusinessEvents(createLogger('test', 'silent'), createMetrics()),
    committed: () => undefined,
  });
  await attest({ job: job.id, indexes: 'open', reason: 'cancelled' });
  return job.id;
}
