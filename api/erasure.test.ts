import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newReceiptKey, receiptKey, type ReceiptKey } from '../attestation/keys/receipt-key.ts';
import { nodeVerifiers } from '../attestation/keys/node-verifiers.ts';
import { closeAndFollow } from '../attestation/log/close.ts';
import { fileGuard } from '../attestation/log/guard.ts';
import { main } from '../cli/command-line.ts';
import { fromUtf8 } from '../domain/encoding.ts';
import { cidOfDigest } from '../domain/receipt/cid.ts';
import { specVerifier } from '../domain/receipt/spec-facts.ts';
import type { Accepted } from '../domain/receipt/verdict.ts';
import { verifyBundle } from '../domain/receipt/verify.ts';
import { findLog } from '../store/log-state.ts';
import { createPool } from '../store/pool.ts';
import { signedJob, testApi, testKey, type TestApi } from '../test/support/api.ts';
import { attestedLog, type AttestedLog } from '../test/support/attested.ts';
import { eventually } from '../test/support/eventually.ts';
import { recordedIo } from '../test/support/recorded-io.ts';
import { temporaryFolder } from '../test/support/temporary-folder.ts';

let api: TestApi;
let log: AttestedLog;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let vkey: string;
let key: ReceiptKey;

beforeAll(async () => {
  api = await testApi();
  const privateKey = newReceiptKey();
  key = receiptKey(privateKey);
  log = await attestedLog(api.db, key);
  folder = await temporaryFolder();
  log.startSequencing();
  const keys = path.join(folder.path, '.beacon', 'keys');
  await mkdir(keys, { recursive: true, mode: 0o700 });
  await writeFile(path.join(keys, 'receipt.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }), {
    mode: 0o600,
  });
});
afterAll(async () => {
  await log[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

async function ended(output: string, over: object = {}) {
  const job = (await api.post(signedJob(testKey(), { questions: [], ...over }))).json.id as string;
  await log.endJob(job, output);
  await eventually(async () =>
    (await api.get(`/api/v1/jobs/${job}/bundle`)).status === 200 ? true : undefined,
  );
  vkey = (await api.get('/api/v1/transparency/root')).json.vkey;
  const executions = (await api.get(`/api/v1/jobs/${job}/executions`)).json.executions as {
    id: string;
    ipfs_cid: string;
  }[];
  return { job, executions, files: await filesOf(executions[0]!.id) };
}

const filesOf = async (id: string) =>
  (await api.get(`/api/v1/executions/${id}/details`)).json.files as { name: string; cid: string }[];

async function beacon(...words: string[]) {
  const io = recordedIo({ cwd: folder.path, env: { DATABASE_URL: api.db.url } });
  return { code: await main(words, io), out: io.out(), err: io.err() };
}

async function erase(...words: string[]) {
  const { code, out, err } = await beacon('erase', ...words, '--reason', 'asked for', '--json');
  expect([code, err]).toEqual([0, '']);
  return JSON.parse(out) as { erased: { execution_id: string; blobs: number }[]; before: number };
}

function judge(bundle: unknown): Accepted {
  const verdict = verifyBundle(
    bundle,
    { vkeys: [vkey] },
    { verifiers: nodeVerifiers, verifySpec: specVerifier(nodeVerifiers) },
  );
  if (!verdict.ok) throw new Error(`${verdict.link} (${verdict.where}): ${verdict.reason}`);
  return verdict;
}

const bundleOf = (of: string) =>
  eventually(async () => {
    const { status, text } = await api.get(`/api/v1/${of}/bundle`);
    return status === 200 ? (JSON.parse(text) as Record<string, unknown>) : undefined;
  });

test('an execution that is erased leaves nothing but the proof of that', async () => {
  const { job, executions, files } = await ended('nobody else says this');
  const [gone, other] = executions;
  const manifest = (await api.get(`/api/v1/jobs/${job}`)).json.job.manifest_cid as string;
  expect(files).not.toEqual([]);
  // All three executions wrote the same bytes, so they stay until the last of them goes.
  expect(await erase(gone!.id)).toMatchObject({ erased: [{ execution_id: gone!.id, blobs: 0 }], before: 0 });
  expect(await erase(gone!.id)).toMatchObject({ erased: [], before: 1 });

  for (const part of ['receipt', 'output', `files/${files[0]!.name}`]) {
    expect(await api.get(`/api/v1/executions/${gone!.id}/${part}`), part).toMatchObject({
      status: 410,
      json: { code: 'erased', details: { execution_id: gone!.id } },
    });
    expect((await api.get(`/api/v1/executions/${other!.id}/${part}`)).status, part).toBe(200);
  }
  for (const cid of [gone!.ipfs_cid, manifest]) {
    expect((await api.get(`/api/v1/transparency/bundles/${cid}`)).json.code, cid).toBe('erased');
    expect((await api.get(`/ipfs/${cid}?format=raw`)).status, cid).toBe(410);
  }
  expect((await api.get(`/api/v1/transparency/bundles/${files[0]!.cid}`)).status).toBe(200);
  expect((await api.get(`/api/v1/executions/${gone!.id}/logs`)).json.lines).toEqual([]);
  expect((await api.get(`/api/v1/executions/${gone!.id}/details`)).json).toMatchObject({
    receipt: null,
    files: [],
  });

  const server = await api.app.listen({ host: '127.0.0.1', port: 0 });
  const shown = await beacon('execution', 'get', gone!.id, '--api', server);
  expect(shown.out).toContain(`${gone!.ipfs_cid}, erased: beacon verify ${gone!.id} shows the proof`);
  expect((await beacon('execution', 'get', other!.id, '--api', server)).out).toMatch(/^receipt +baf\S+$/m);

  const verdict = judge(await bundleOf(`executions/${gone!.id}`));
  expect(verdict).toMatchObject({
    kind: 'erased',
    outcome: 'erased',
    jobId: job,
    executions: [],
    erased: [{ executionId: gone!.id, receiptCid: gone!.ipfs_cid, reason: 'asked for' }],
  });
  const whole = judge(await bundleOf(`jobs/${job}`));
  expect(whole).toMatchObject({ kind: 'job', outcome: 'completed', erased: [{ executionId: gone!.id }] });
  expect(whole.executions).toHaveLength(2);
});

test('a proof that was asked for before shows no envelope from the moment on at which its execution is erased', async () => {
  const { executions } = await ended('said and taken back');
  const [gone, other] = executions;
  const proofOf = async (what: string) =>
    (await api.get(`/api/v1/transparency/proof?${what}`)).json as Record<string, unknown>;
  const { leaf_index: index } = await proofOf(`execution_id=${gone!.id}`);
  const asked = [`index=${String(index)}`, `execution_id=${other!.id}`];
  for (const what of [...asked, ...asked]) expect((await proofOf(what)).sigstore_bundle).not.toBeNull();
  await erase(gone!.id);
  const after = await proofOf(asked[0]!);
  expect(after).toMatchObject({ execution_id: gone!.id, leaf_index: index, sigstore_bundle: null });
  expect((await proofOf(asked[1]!)).sigstore_bundle).not.toBeNull();
  // What the log says of the execution last is that it was erased.
  await eventually(async () =>
    (await proofOf(`execution_id=${gone!.id}`)).subject_kind === 'erasure' ? true : undefined,
  );
});

test('a receipt that is left out is not erased, and an erasure is of one receipt only', async () => {
  const one = await ended('one');
  const two = await ended('two');
  await erase(`${one.job}#1`);
  await erase(`${two.job}#2`);
  const bundle = await bundleOf(`jobs/${one.job}`);
  const other = await bundleOf(`jobs/${two.job}`);
  const refused = (changed: object) => {
    expect(() => judge({ ...bundle, ...changed }), JSON.stringify(Object.keys(changed))).toThrow();
  };
  judge(bundle);
  const { erased: _erased, ...without } = bundle;
  expect(() => judge(without)).toThrow(/completeness/);
  refused({ erased: other.erased });
  refused({ erased: [...(bundle.erased as object[]), ...(bundle.erased as object[])] });
  refused({ executions: (bundle.executions as object[]).slice(1) });
  refused({ erased: [] });
  const alone = await bundleOf(`executions/${one.executions[0]!.id}`);
  expect(() => judge({ ...alone, erasure: (bundle.executions as object[])[0] })).toThrow();
});

test('bytes that nobody else has are gone, with --job the spec as well', async () => {
  const { job, executions, files } = await ended('only here and nowhere else');
  const { erased } = await erase(job, '--job');
  expect(erased).toHaveLength(executions.length);
  expect(erased.reduce((sum, { blobs }) => sum + blobs, 0)).toBe(1);
  for (const file of files) {
    expect((await api.get(`/api/v1/transparency/bundles/${file.cid}`)).json.code).toBe('erased');
  }
  for (const path of ['spec', 'bundle']) {
    expect(await api.get(`/api/v1/jobs/${job}/${path}`), path).toMatchObject({
      status: 410,
      json: { code: 'erased', details: { job_id: job } },
    });
  }
  expect((await api.get(`/api/v1/jobs/${job}`)).status).toBe(200);
  const { rows } = await api.db.pool.query<{ bytes: Buffer }>(
    'select bytes from blobs union all select bytes from blocks union all select raw from jobs where id = $1',
    [job],
  );
  expect(rows.some(({ bytes }) => fromUtf8(bytes)?.includes('only here and nowhere else'))).toBe(false);
  for (const { id } of executions) expect(judge(await bundleOf(`executions/${id}`)).kind).toBe('erased');
});

test('the spec of a job goes also when its executions had been erased one by one', async () => {
  const { job, executions } = await ended('one by one', { questions: ['who is asked this?'] });
  for (const { id } of executions) await erase(id);
  expect((await api.get(`/api/v1/jobs/${job}/spec`)).status).toBe(200);
  const before = executions.length;
  for (let i = 0; i < 2; i++)
    expect(await erase(job, '--job')).toEqual({ erased: [], before, published: [] });
  expect(await api.get(`/api/v1/jobs/${job}/spec`)).toMatchObject({ status: 410, json: { code: 'erased' } });
  const { rows } = await api.db.pool.query(
    'select j.raw, x.question_text from jobs j join executions x on x.job_id = j.id where j.id = $1',
    [job],
  );
  expect(rows).toHaveLength(before);
  for (const row of rows) expect(row).toEqual({ raw: Buffer.alloc(0), question_text: null });
});

test('bytes that are missing without an erasure are no erasure', async () => {
  const { executions } = await ended('lost');
  const { id } = executions[0]!;
  const owner = createPool({ databaseUrl: api.db.url, name: 'test', max: 1, role: null });
  await owner.query(
    'delete from blocks where digest = (select digest from receipts where execution_id = $1)',
    [id],
  );
  await owner.end();
  const { status, json } = await api.get(`/api/v1/executions/${id}/bundle`);
  expect(status).toBe(500);
  expect(json.code).toBe('block_damaged');
});

test('what has not ended, is unknown or has no reason is not erased', async () => {
  const job = (await api.post(signedJob(testKey()))).json.id as string;
  expect(await beacon('erase', job, '--job', '--reason', 'x')).toMatchObject({ code: 4 });
  expect(await beacon('erase', '4000000000', '--reason', 'x')).toMatchObject({ code: 4 });
  expect(await beacon('erase', `${job}#1`, '--reason', 'x')).toMatchObject({ code: 4 });
  expect(await beacon('erase', '1', '--reason', ' ')).toMatchObject({ code: 2 });
  expect(await beacon('erase', '1')).toMatchObject({ code: 2 });
});

test('bytes that a running job may have made again are left to the sweep, and to nobody else', async () => {
  const { job, files } = await ended('both say this');
  const other = (await api.post(signedJob(testKey(), { questions: [] }))).json.id as string;
  await api.db.pool.query(`update jobs set state = 'running', started_at = now() where id = $1`, [other]);
  const { erased } = await erase(job, '--job');
  expect(erased.reduce((sum, { blobs }) => sum + blobs, 0)).toBe(0);
  const cid = files[0]!.cid;
  expect((await api.get(`/api/v1/transparency/bundles/${cid}`)).json.code).toBe('erased');
  const { rowCount } = await api.db.pool.query(
    `select from blobs where convert_from(bytes, 'utf8') = 'both say this'`,
  );
  expect(rowCount).toBe(1);
  await log.endJob(other, 'both say this');
  expect((await api.get(`/api/v1/transparency/bundles/${cid}`)).text).toBe('both say this');
});

test('a part that another large file has too stays with that one until it is erased as well', async () => {
  const part = Buffer.alloc(1_048_576, 'the part that they share');
  const constraints = { regions: ['US'], min_regions: 1 };
  const run = async (rest: string) => {
    const spec = signedJob(testKey(), { questions: [], constraints });
    const job = (await api.post(spec)).json.id as string;
    await log.endJob(job, rest, Buffer.concat([part, Buffer.from(rest)]));
    await bundleOf(`jobs/${job}`);
    return job;
  };
  const jobs = [await run('first'), await run('second')];
  const shared = `/api/v1/transparency/bundles/${cidOfDigest(createHash('sha256').update(part).digest())}`;
  for (const job of jobs) {
    expect((await api.get(shared)).raw.equals(part)).toBe(true);
    await erase('--job', job);
  }
  expect((await api.get(shared)).status).toBe(410);
});

test('a job that ended without executions has its spec erased', async () => {
  const job = (await api.post(signedJob(testKey(), { questions: [] }))).json.id as string;
  const owner = createPool({ databaseUrl: api.db.url, name: 'test', max: 1, role: null });
  await owner.query(`begin; set local session_replication_role = replica;
    delete from executions where job_id = '${job}'; delete from outbox where job_id = '${job}';
    update jobs set open = 0, state = 'cancelled', ended_at = now(), summary_cid = 'none' where id = '${job}'; commit`);
  await owner.end();
  expect(await erase('--job', job)).toMatchObject({ erased: [], before: 0 });
  expect((await api.get(`/api/v1/jobs/${job}/spec`)).status).toBe(410);
  const { code, err } = await beacon('erase', '--job', 'no-such-job', '--reason', 'asked for');
  expect([code === 0, err]).toEqual([false, expect.stringContaining('no execution that has ended')]);
});

test('what stands in a closed log can be erased, and the log that follows proves it', async () => {
  const { job, executions } = await ended('before the end');
  const former = vkey;
  const guard = fileGuard(path.join(folder.path, 'guard.json'));
  await closeAndFollow(api.db.pool, (await findLog(api.db.pool))!, key, { guard });
  await using next = await attestedLog(api.db, key);
  next.startSequencing();
  await next.sizeReaches(1);
  await erase(executions[0]!.id);
  const bundle = await bundleOf(`executions/${executions[0]!.id}`);
  vkey = (await api.get('/api/v1/transparency/root')).json.vkey;
  expect(judge(bundle)).toMatchObject({ kind: 'erased', erased: [{ reason: 'asked for' }] });

  // The bundle of its job is of the closed log, and has that proof in it.
  const tools = { verifiers: nodeVerifiers, verifySpec: specVerifier(nodeVerifiers) };
  const whole = await bundleOf(`jobs/${job}`);
  const { origin } = (await findLog(api.db.pool))!;
  expect(verifyBundle(whole, { vkeys: [former, vkey] }, tools)).toMatchObject({
    ok: true,
    kind: 'job',
    erased: [{ executionId: executions[0]!.id, origin }],
  });
  expect(verifyBundle(whole, { vkeys: [former] }, tools)).toMatchObject({ ok: false, link: 'checkpoint' });
  const without = Object.entries(whole).filter(([name]) => name !== 'erased_later');
  expect(verifyBundle(Object.fromEntries(without), { vkeys: [former, vkey] }, tools)).toMatchObject({
    ok: false,
    link: 'completeness',
  });
  const { etag } = (await api.get(`/api/v1/jobs/${job}/bundle`)).headers;
  await erase(executions[1]!.id);
  const after = await bundleOf(`jobs/${job}`);
  expect(after.erased_later).toHaveLength(2);
  expect((await api.get(`/api/v1/jobs/${job}/bundle`)).headers.etag).not.toBe(etag);
});
