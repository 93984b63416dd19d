import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createAttester } from '../../activities/attester.ts';
import { eventually } from '../../test/support/eventually.ts';
import { jobSpec, signedSpec, submitOf } from '../../test/support/jobs.ts';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.ts';
import { sequence } from '../../test/support/sequence.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { formatVkey } from '../../domain/log/vkey.ts';
import { specVerifier } from '../../domain/receipt/spec-facts.ts';
import { verifyBundle } from '../../domain/receipt/verify.ts';
import { createBusinessEvents } from '../../observability/events.ts';
import { createLogger } from '../../observability/log.ts';
import { createMetrics } from '../../observability/metrics.ts';
import { createSubmitter } from '../../store/submit.ts';
import { executionBundle, jobBundle } from '../bundle.ts';
import { createKey } from '../keys/key-file.ts';
import { generateLogKey } from '../keys/log-key.ts';
import { nodeVerifiers } from '../keys/node-verifiers.ts';
import { receiptKey } from '../keys/receipt-key.ts';
import { loadLog } from '../log/load.ts';
import { openLog } from '../log/open.ts';
import { createLogReader } from '../log/reader.ts';
import { endReceiptKey, startReceiptKey } from '../log/receipt-keys.ts';
import { startSigning, type Signing } from './signing.ts';

const log = createLogger('test', 'silent');
const logKey = generateLogKey();
const generate = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const tools = { verifiers: nodeVerifiers, verifySpec: specVerifier(nodeVerifiers) };

let db: TestDatabase;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let logId: string;
let origin: string;
let file: string;
let signing: Signing & AsyncDisposable;
const [old, next] = [generate(), generate()];
const [oldKey, nextKey] = [receiptKey(old), receiptKey(next)];

beforeEach(async () => {
  db = await testDatabase();
  folder = await temporaryFolder();
  file = path.join(folder.path, 'keys', 'receipt.pem');
  await createKey(file, () => old);
  ({ logId, origin } = await openLog(db.pool));
  signing = await startSigning({ pool: db.pool, source: { file }, origin: undefined, log });
  await append();
  await startReceiptKey(db.pool, logId, nextKey, oldKey);
  await append();
});
afterEach(async () => {
  await signing[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

async function append(): Promise<void> {
  let loaded = await loadLog(db.pool, logId, undefined);
  for (let entries = 1; entries > 0;) {
    ({ entries, log: loaded } = await sequence(db.pool, logId, loaded, logKey.signerFor(origin)));
  }
}

/** As an operator exchanges a key: whole, by one rename. */
async function exchange(): Promise<void> {
  const made = `${file}.new`;
  await writeFile(made, next.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
  await rename(made, file);
}

/** A job of two executions that is ended one by one, by the real `attest`. */
async function job() {
  await using submitter = createSubmitter({ pool: db.pool, notifier: { notify: () => undefined } });
  const raw = signedSpec(jobSpec({ regions: ['US', 'EU'] }));
  const submitted = { ...submitOf(raw), form: tools.verifySpec(raw).form };
  await submitter.submit(submitted);
  const { attest } = createAttester({
    pool: db.pool,
    signing,
    software: { name: 'beacon', version: 'test' },
    events: createBusinessEvents(log, createMetrics()),
    committed: () => undefined,
  });
  return {
    id: submitted.id,
    attest: (index: number) => attest({ job: submitted.id, indexes: [index], reason: 'cancelled' }),
  };
}

async function parsed(bundle: ReturnType<typeof jobBundle>): Promise<unknown> {
  let text = '';
  for await (const piece of (await bundle)!.pieces) text += piece;
  return JSON.parse(text);
}

const attestedBy = async (): Promise<string[]> => {
  const { rows } = await db.pool.query<{ key: string }>(
    `select r.key_id as key from receipts r join executions e on e.id = r.execution_id order by e.idx`,
  );
  return rows.map(({ key }) => key);
};

it('a worker takes the new key when its file is exchanged, without a start', async () => {
  expect(signing.now().keyId).toBe(oldKey.id);
  await exchange();
  await eventually(() => (signing.now().keyId === nextKey.id ? true : undefined));
});

it('a worker goes on with the old key while the file holds one that the log does not know', async () => {
  await writeFile(file, generate().export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
  await expect(signing.renew()).rejects.toMatchObject({ code: 'receipt_key_not_in_log' });
  expect(signing.now().keyId).toBe(oldKey.id);
});

it('a job that is attested while the key changes has all its receipts, and they verify', async () => {
  const { id, attest } = await job();
  await attest(0);
  await endReceiptKey(db.pool, logId, oldKey, nextKey);
  // The database takes nothing of the old key, and the worker has no other.
  await expect(attest(1)).rejects.toMatchObject({ code: 'receipt_key_ended' });
  expect(await attestedBy()).toEqual([oldKey.id]);
  await exchange();
  expect(await attest(1)).toEqual({ open: 0 });
  expect(await attestedBy()).toEqual([oldKey.id, nextKey.id]);
  await append();

  const reader = createLogReader(db.pool, logId);
  const trust = { vkeys: [formatVkey(logKey.signerFor(origin))] };
  const verdict = verifyBundle(await parsed(jobBundle(db.pool, reader, id)), trust, tools);
  expect(verdict).toMatchObject({ ok: true, receiptKeyIds: [oldKey.id, nextKey.id] });
  const { rows } = await db.pool.query<{ id: string }>('select id from executions order by idx');
  for (const [i, execution] of rows.entries()) {
    const bundle = await executionBundle(db.pool, reader, execution.id);
    expect(bundle?.key_chain?.length).toBe(i === 0 ? undefined : 1);
    expect(verifyBundle(bundle, trust, tools)).toMatchObject({ ok: true });
  }
});

it('a worker that starts with a key that has ended is told which one it needs', async () => {
  await endReceiptKey(db.pool, logId, oldKey, nextKey);
  const started = startSigning({ pool: db.pool, source: { file }, origin: undefined, log });
  await expect(started).rejects.toMatchObject({
    code: 'receipt_key_ended',
    message: expect.stringContaining(nextKey.id),
  });
});
