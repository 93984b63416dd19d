import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nodeVerifiers } from '../../../attestation/keys/node-verifiers.ts';
import { generateReceiptKey } from '../../../attestation/keys/receipt-key.ts';
import { closeAndFollow } from '../../../attestation/log/close.ts';
import { fileGuard } from '../../../attestation/log/guard.ts';
import { specVerifier } from '../../../domain/receipt/spec-facts.ts';
import { verifyBundle } from '../../../domain/receipt/verify.ts';
import { findLog } from '../../../store/log-state.ts';
import { signedJob, testApi, testKey, type TestApi } from '../../../test/support/api.ts';
import { attestedLog, type AttestedLog } from '../../../test/support/attested.ts';
import { temporaryFolder } from '../../../test/support/temporary-folder.ts';

const tools = { verifiers: nodeVerifiers, verifySpec: specVerifier(nodeVerifiers) };
let api: TestApi;
let logs: [AttestedLog, AttestedLog];
let jobs: [string, string];
let vkeys: [string, string];

/** A job in a log, the log closed, and another job in the log that follows. */
beforeAll(async () => {
  api = await testApi();
  const submit = async (): Promise<string> =>
    (await api.post(signedJob(testKey(), { questions: [] }))).json.id as string;
  const run = async (log: AttestedLog): Promise<[string, string]> => {
    const job = await submit();
    await log.endJob(job);
    const { state } = log.startSequencing().status();
    expect(state).not.toBe('refusing');
    await log.sizeReaches(4);
    return [job, (await api.get('/api/v1/transparency/root')).json.vkey as string];
  };
  const first = await attestedLog(api.db);
  const [oldJob, oldVkey] = await run(first);
  await using folder = await temporaryFolder();
  const key = generateReceiptKey();
  const guard = fileGuard(path.join(folder.path, 'guard.json'));
  await closeAndFollow(api.db.pool, (await findLog(api.db.pool))!, key, { guard });
  const second = await attestedLog(api.db, key);
  const [newJob, newVkey] = await run(second);
  [logs, jobs, vkeys] = [
    [first, second],
    [oldJob, newJob],
    [oldVkey, newVkey],
  ];
});
afterAll(async () => {
  for (const log of logs) await log[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

const executionsOf = async (job: string) =>
  (await api.get(`/api/v1/jobs/${job}/executions`)).json.executions as { id: string; ipfs_cid: string }[];

test('the root and the checkpoint are those of the log that follows', async () => {
  const [old, now] = logs;
  const { json } = await api.get('/api/v1/transparency/root');
  expect(json).toMatchObject({ log_id: now.head.logId, vkey: vkeys[1] });
  expect(now.head.origin).not.toBe(old.head.origin);
  expect((await api.get('/checkpoint')).text.split('\n')[0]).toBe(now.head.origin);
});

test('bundles of both logs hold, each under its own key, and the newer one says what it follows', async () => {
  for (const [i, job] of jobs.entries()) {
    const [execution] = await executionsOf(job);
    for (const url of [`/api/v1/jobs/${job}/bundle`, `/api/v1/executions/${execution!.id}/bundle`]) {
      const bundle: unknown = JSON.parse((await api.get(url)).text);
      const verdict = verifyBundle(bundle, { vkeys: [vkeys[i]!] }, tools);
      expect([url, verdict.ok]).toEqual([url, true]);
      expect(JSON.stringify(verdict).includes('this log follows')).toBe(i === 1);
      expect(verifyBundle(bundle, { vkeys: [vkeys[1 - i]!] }, tools).ok).toBe(false);
    }
  }
});

test('a proof is found in the log in which its entry stands', async () => {
  for (const [i, job] of jobs.entries()) {
    const [execution] = await executionsOf(job);
    for (const subject of [`execution_id=${execution!.id}`, `ipfs_cid=${execution!.ipfs_cid}`]) {
      const { status, json } = await api.get(`/api/v1/transparency/proof?${subject}`);
      expect([subject, status]).toEqual([subject, 200]);
      expect((json.checkpoint as string).split('\n')[0]).toBe(logs[i]!.head.origin);
    }
  }
});
