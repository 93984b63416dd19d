import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nodeVerifiers } from '../../../attestation/keys/node-verifiers.ts';
import { openCheckpoint } from '../../../domain/log/checkpoint.ts';
import { treeHash } from '../../../domain/log/hash.ts';
import { verifyInclusion } from '../../../domain/log/proof.ts';
import { decodeEntryBundle } from '../../../domain/log/tile.ts';
import { parseVkey } from '../../../domain/log/vkey.ts';
import { cidOfDigest } from '../../../domain/receipt/cid.ts';
import { specVerifier } from '../../../domain/receipt/spec-facts.ts';
import { verifyBundle } from '../../../domain/receipt/verify.ts';
import { OPERATOR_TOKEN, signedJob, testApi, testKey, type TestApi } from '../../../test/support/api.ts';
import { attestedLog, type AttestedLog } from '../../../test/support/attested.ts';

const hash = treeHash(nodeVerifiers.sha256);
const operator = { authorization: `Bearer ${OPERATOR_TOKEN}` };
let api: TestApi;
let log: AttestedLog;
let job: string;
let hidden: string;
let executions: { id: string; number: number; ipfs_cid: string }[];

beforeAll(async () => {
  api = await testApi();
  log = await attestedLog(api.db);
  const submit = async (over: object): Promise<string> =>
    (await api.post(signedJob(testKey(), { questions: [], ...over }))).json.id as string;
  job = await submit({});
  hidden = await submit({ visibility: 'private' });
  await log.endJob(job);
  await log.endJob(hidden);
  executions = (await api.get(`/api/v1/jobs/${job}/executions`)).json.executions;
});
afterAll(async () => {
  await log[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

describe('before anything is sequenced', () => {
  test('the root is that of the empty log, and there is no checkpoint', async () => {
    const { json } = await api.get('/api/v1/transparency/root');
    expect(json).toMatchObject({
      sequence: 0,
      root: createHash('sha256').digest('hex'),
      checkpoint: null,
      log_id: log.head.logId,
    });
    expect((await api.get('/checkpoint')).status).toBe(404);
  });

  test('a proof and a bundle are not there yet, and say when to come back', async () => {
    for (const url of [
      `/api/v1/transparency/proof?execution_id=${executions[0]!.id}`,
      `/api/v1/jobs/${job}/bundle`,
      `/api/v1/executions/${executions[0]!.id}/bundle`,
    ]) {
      const answer = await api.get(url);
      expect(answer, url).toMatchObject({ status: 404, json: { code: 'not_yet_logged' } });
      expect(answer.headers['retry-after']).toBe('1');
    }
  });

  test('a server without a log says so', async () => {
    await using bare = await testApi();
    for (const url of [
      '/api/v1/transparency/root',
      '/api/v1/transparency/proof?index=0',
      '/checkpoint',
      '/tile/0/000.p/1',
    ]) {
      expect(await bare.get(url), url).toMatchObject({ status: 404, json: { code: 'log_not_found' } });
    }
  });
});

describe('the log', () => {
  let root: Record<'root' | 'merkle_root' | 'vkey' | 'updated_at', string>;
  beforeAll(async () => {
    log.startSequencing();
    // The key, and per job three receipts and a summary.
    await log.sizeReaches(9);
    root = (await api.get('/api/v1/transparency/root')).json;
  });

  test('has a root in every spelling, signed by its key', async () => {
    expect(root).toMatchObject({
      sequence: 9,
      tree_size: 9,
      merkle_root: root.root,
      root_hash: root.root,
      origin: log.head.origin,
      rollback_guard: 'none',
    });
    expect(Date.parse(root.updated_at)).toBeGreaterThan(Date.now() - 60_000);
    const answer = await api.get('/checkpoint', { origin: 'https://auditor.example' });
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'content-type': 'text/plain; charset=utf-8', 'access-control-allow-origin': '*' },
    });
    const checkpoint = openCheckpoint(
      answer.text,
      [parseVkey(root.vkey, nodeVerifiers.sha256)],
      nodeVerifiers,
    );
    expect(checkpoint).toMatchObject({ origin: log.head.origin, size: 9 });
    expect(Buffer.from(checkpoint.root).toString('hex')).toBe(root.root);
  });

  test('proves an execution by its id, its number, its CID and its index, all the same', async () => {
    const [execution] = executions;
    const byId = await api.get(`/api/v1/transparency/proof?execution_id=${execution!.id}`);
    expect(byId.status).toBe(200);
    const proof = byId.json;
    for (const query of [
      `execution_id=${execution!.number}`,
      `ipfs_cid=${execution!.ipfs_cid}`,
      `index=${proof.leaf_index}`,
      `index=${proof.leaf_index}&execution_id=${execution!.id}`,
    ]) {
      expect((await api.get(`/api/v1/transparency/proof?${query}`)).json, query).toEqual(proof);
    }
    expect(proof).toMatchObject({
      execution_id: execution!.id,
      job_id: job,
      ipfs_cid: execution!.ipfs_cid,
      siblings: proof.hashes,
      root_hash: root.root,
      sequence: 9,
    });
    expect(proof.directions).toHaveLength(proof.hashes.length);
    const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'hex'));
    const leafHash = hash.leaf(Buffer.from(proof.leaf));
    expect(Buffer.from(leafHash).toString('hex')).toBe(proof.leaf_hash);
    const claim = {
      index: proof.leaf_index,
      size: proof.tree_size,
      leafHash,
      proof: (proof.hashes as string[]).map(bytes),
    };
    expect(verifyInclusion(claim, bytes(proof.root), hash)).toBe(true);
    const folded = (proof.siblings as string[]).reduce(
      (at, sibling, i) =>
        proof.directions[i] ? hash.node(at, bytes(sibling)) : hash.node(bytes(sibling), at),
      leafHash,
    );
    expect(Buffer.from(folded).toString('hex')).toBe(proof.root);
    expect(proof.tlog_proof).toContain(`\nindex ${proof.leaf_index}\n`);
  });

  test('gives the CID of a job summary its own name, and finds it by either', async () => {
    const { summary_cid: cid } = (await api.get(`/api/v1/jobs/${job}`)).json.job;
    const { json } = await api.get(`/api/v1/transparency/proof?ipfs_cid=${cid}`);
    expect(json).toMatchObject({ subject_kind: 'job', job_id: job, ipfs_cid: null, summary_cid: cid });
    const receipt = (await api.get(`/api/v1/transparency/proof?execution_id=${executions[0]!.id}`)).json;
    expect(receipt).toMatchObject({ ipfs_cid: executions[0]!.ipfs_cid, summary_cid: null });
  });

  test('refuses what it cannot prove by name', async () => {
    const [one, two] = executions;
    const manifest = (await api.get(`/api/v1/jobs/${job}`)).json.job.manifest_cid;
    const cases: [string, number, string][] = [
      ['', 400, 'proof_subject_missing'],
      ['index=-1', 400, 'validation_error'],
      ['index=x', 400, 'validation_error'],
      ['index=', 400, 'validation_error'],
      ['index=%20', 400, 'validation_error'],
      ['index=0x1', 400, 'validation_error'],
      [`index=&execution_id=${one!.id}`, 400, 'validation_error'],
      ['index=9', 404, 'proof_not_found'],
      ['execution_id=nonsense', 400, 'invalid_execution_id'],
      ['execution_id=00000000-0000-7000-8000-000000000000', 404, 'proof_not_found'],
      ['ipfs_cid=bafkreib', 404, 'proof_not_found'],
      [`execution_id=${one!.id}&ipfs_cid=${two!.ipfs_cid}`, 409, 'proof_subjects_disagree'],
      [`ipfs_cid=${manifest}`, 404, 'cid_is_bundle'],
    ];
    for (const [query, status, code] of cases) {
      expect(await api.get(`/api/v1/transparency/proof?${query}`), query).toMatchObject({
        status,
        json: { code },
      });
    }
    const { json } = await api.get(`/api/v1/transparency/proof?ipfs_cid=${manifest}`);
    expect(json.details.receipts).toEqual(executions.map((execution) => execution.ipfs_cid));
  });

  test('lets every web page read what an auditor asks for, and no more', async () => {
    const origin = 'https://auditor.example';
    const { ipfs_cid: cid } = executions[0]!;
    for (const asked of [
      'root',
      'keys',
      `proof?ipfs_cid=${cid}`,
      `entries?job_id=${job}`,
      'consistency?from=1',
    ])
      expect(await api.get(`/api/v1/transparency/${asked}`, { origin }), asked).toMatchObject({
        status: 200,
        headers: { 'access-control-allow-origin': '*' },
      });
    const refused = await api.get(`/api/v1/transparency/bundles/${cid}`, { origin });
    expect(refused).toMatchObject({ status: 403, json: { code: 'origin_not_allowed' } });
  });

  test('answers as if a parameter that it does not know were not there', async () => {
    const { json } = await api.get('/api/v1/transparency/proof?index=1');
    expect(await api.get('/api/v1/transparency/proof?index=1&sise=2&tree_sise=1')).toMatchObject({
      status: 200,
      json,
    });
  });

  test('serves tiles for ever and nothing that is not there', async () => {
    const tile = await api.get('/tile/0/000.p/9', { origin: 'https://auditor.example' });
    expect(tile.raw).toHaveLength(9 * 32);
    expect(tile.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'access-control-allow-origin': '*',
    });
    expect(tile.headers['cache-control']).toContain('immutable');
    const entries = decodeEntryBundle((await api.get('/tile/entries/000.p/9')).raw);
    expect(Buffer.concat(entries.map((entry) => hash.leaf(entry)))).toEqual(tile.raw);
    for (const path of ['0/000', '0/000.p/10', '1/000.p/1', '0/0', 'x/000', '../../etc/passwd', '']) {
      expect((await api.get(`/tile/${path}`)).status, path).toBe(404);
    }
  });

  test('serves the bytes of a CID as a download', async () => {
    const cid = executions[0]!.ipfs_cid;
    const block = await api.get(`/api/v1/transparency/bundles/${cid}`);
    expect(block).toMatchObject({
      status: 200,
      headers: { etag: `"${cid}"`, 'x-content-type-options': 'nosniff' },
    });
    expect(block.headers['content-disposition']).toMatch(/^attachment/);
    const receipt = await api.get(`/api/v1/executions/${executions[0]!.number}/receipt`);
    expect(receipt.raw).toEqual(block.raw);
    expect(receipt.headers.etag).toBe(`"${cid}"`);
    expect(
      (await api.get(`/api/v1/executions/${executions[0]!.id}/receipt`, { 'if-none-match': `"${cid}"` }))
        .status,
    ).toBe(304);
    expect((await api.get('/api/v1/transparency/bundles/bafkreia')).json.code).toBe('bundle_not_found');
  });

  test('gives bundles of an execution and of a job that hold offline', async () => {
    const trust = { vkeys: [root.vkey] };
    const tools = { verifiers: nodeVerifiers, verifySpec: specVerifier(nodeVerifiers) };
    const one = await api.get(`/api/v1/executions/${executions[1]!.id}/bundle`);
    expect(verifyBundle(JSON.parse(one.text), trust, tools)).toMatchObject({ ok: true, kind: 'execution' });
    const all = await api.get(`/api/v1/jobs/${job}/bundle`);
    expect(verifyBundle(JSON.parse(all.text), trust, tools)).toMatchObject({
      ok: true,
      kind: 'job',
      jobId: job,
    });
  });

  test('tells nothing of a private job but its leaves', async () => {
    const secret = (await api.get(`/api/v1/jobs/${hidden}/executions`, operator)).json.executions[0];
    for (const url of [
      `/api/v1/transparency/proof?execution_id=${secret.id}`,
      `/api/v1/transparency/proof?ipfs_cid=${secret.ipfs_cid}`,
      `/api/v1/transparency/bundles/${secret.ipfs_cid}`,
      `/api/v1/executions/${secret.id}/receipt`,
      `/api/v1/executions/${secret.id}/output`,
      `/api/v1/executions/${secret.id}/bundle`,
      `/api/v1/jobs/${hidden}/bundle`,
    ]) {
      expect((await api.get(url)).status, url).toBe(404);
      expect((await api.get(url, operator)).status, url).toBe(200);
    }
    const { leaf_index: index } = (
      await api.get(`/api/v1/transparency/proof?execution_id=${secret.id}`, operator)
    ).json;
    const { status, json } = await api.get(`/api/v1/transparency/proof?index=${index}`);
    expect(status).toBe(200);
    expect(json.leaf).toContain('hashedrekord');
    for (const field of ['execution_id', 'job_id', 'ipfs_cid']) expect(json).not.toHaveProperty(field);
  });
});

describe('bytes that two jobs hold', () => {
  /** What a stranger gets for the file of a public job, when a private job wrote the same before or not. */
  async function strangersAnswer(withPrivate: boolean) {
    await using own = await testApi();
    await using ownLog = await attestedLog(own.db);
    const submit = async (over: object): Promise<string> =>
      (await own.post(signedJob(testKey(), { questions: [], ...over }))).json.id as string;
    const block = async () => {
      const { status, headers, json, text } = await own.get(`/api/v1/transparency/bundles/${cid}`);
      return {
        status,
        code: json?.code,
        text: status === 200 ? text : '',
        type: headers['content-type'],
        cache: headers['cache-control'],
      };
    };
    const cid = cidOfDigest(createHash('sha256').update('the same answer').digest());
    if (withPrivate) await ownLog.endJob(await submit({ visibility: 'private' }), 'the same answer');
    const before = await block();
    const open = await submit({});
    await ownLog.endJob(open, 'the same answer');
    const { json } = await own.get(`/api/v1/jobs/${open}/executions`);
    const { files } = (await own.get(`/api/v1/executions/${json.executions[0].id}/details`)).json;
    expect(files).toMatchObject([{ cid }]);
    return { before, after: await block() };
  }

  test('are given to a stranger for the public one, and tell nothing of the private one', async () => {
    const answer = await strangersAnswer(true);
    expect(answer).toMatchObject({
      before: { status: 404 },
      after: { status: 200, text: 'the same answer' },
    });
    expect(answer).toEqual(await strangersAnswer(false));
  });

  test('are one row for everybody and one for each owner, however many jobs wrote them', async () => {
    await using own = await testApi();
    await using ownLog = await attestedLog(own.db);
    const owner = testKey();
    for (const visibility of ['public', 'public', 'private', 'private']) {
      const { json } = await own.post(signedJob(owner, { questions: [], visibility }));
      await ownLog.endJob(json.id as string, 'the same answer');
    }
    const { rows } = await own.db.pool.query(
      `select visible_to from cids where kind = 'file' order by visible_to = 'all'`,
    );
    expect(rows).toEqual([{ visible_to: owner.text }, { visible_to: 'all' }]);
  });
});

describe('an ended execution', () => {
  test('has its receipt, output, attempts and files in its details', async () => {
    const [{ id, ipfs_cid: cid } = { id: '', ipfs_cid: '' }] = executions;
    const { json } = await api.get(`/api/v1/executions/${id}/details`);
    expect(json).toMatchObject({
      id,
      status: 'completed',
      provider_id: 'test',
      output: 'I am a test.',
      has_receipt: true,
      receipt_id: cid,
      duration_ms: 12,
      attempts: [{ attempt: 1, status: 'succeeded', backend: 'local' }],
      files: [
        {
          name: 'notes/answer.html',
          mime: 'text/html',
          url: `/api/v1/executions/${id}/files/notes/answer.html`,
        },
      ],
      receipt: { execution_id: id, outcome: 'completed' },
    });
    expect((await api.get(`/api/v1/jobs/${job}?include=latest`)).json.executions).toMatchObject([
      { receipt: { outcome: 'completed' } },
    ]);
  });

  test('gives its output and files only as downloads that no browser runs', async () => {
    const { id } = executions[0]!;
    for (const path of ['output', 'files/notes/answer.html']) {
      const answer = await api.get(`/api/v1/executions/${id}/${path}`);
      expect(answer).toMatchObject({
        status: 200,
        text: 'I am a test.',
        headers: { 'content-type': 'application/octet-stream' },
      });
      expect(answer.headers['content-disposition']).toMatch(/^attachment; filename="[A-Za-z0-9._-]+"$/);
      expect(answer.headers['content-security-policy']).toContain('sandbox');
    }
    for (const path of ['files/none', 'files/..%2fx', 'files/notes']) {
      expect((await api.get(`/api/v1/executions/${id}/${path}`)).status, path).toBe(404);
    }
  });

  test('has its log lines, page after page', async () => {
    const { id } = executions[0]!;
    const first = (await api.get(`/api/v1/executions/${id}/logs?limit=1`)).json;
    expect(first).toMatchObject({
      lines: [{ line: 'thinking', source: 'stdout', attempt: 1 }],
      ended: false,
    });
    const second = (await api.get(`/api/v1/executions/${id}/logs?after=${first.next_after}`)).json;
    expect(second).toMatchObject({ lines: [{ line: 'done', source: 'stderr' }], ended: true });
    expect((await api.get(`/api/v1/executions/${id}/logs?after=${second.next_after}`)).json).toMatchObject({
      lines: [],
      next_after: second.next_after,
    });
    expect((await api.get(`/api/v1/executions/${id}/logs?after=x`)).status).toBe(400);
  });

  test('that nobody knows is told in the same words everywhere', async () => {
    const unknown = '00000000-0000-7000-8000-000000000000';
    for (const path of ['', '/details', '/receipt', '/logs', '/output', '/bundle']) {
      expect(await api.get(`/api/v1/executions/${unknown}${path}`), path).toMatchObject({
        status: 404,
        json: { code: 'execution_not_found' },
      });
      expect(await api.get(`/api/v1/executions/not-an-id${path}`), path).toMatchObject({
        status: 400,
        json: { code: 'invalid_execution_id' },
      });
    }
  });
});
