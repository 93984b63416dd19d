import { CarReader } from '@ipld/car';
import { createHash } from 'node:crypto';
import { CID } from 'multiformats/cid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Answer } from '../../../test/support/api.ts';
import { importedFile, largeFile, MIB, operator, type LargeFile } from '../../../test/support/large-file.ts';

let stand: LargeFile;
let api: LargeFile['api'];
let large: LargeFile['large'];
let secret: LargeFile['secret'];
let job: LargeFile['job'];
let root: LargeFile['root'];
let execution: LargeFile['execution'];
let file: LargeFile['file'];
let leaves: LargeFile['leaves'];
let hidden: LargeFile['hidden'];
let hiddenFile: LargeFile['hiddenFile'];
let hiddenRoot: LargeFile['hiddenRoot'];

beforeAll(async () => {
  stand = await largeFile();
  ({ api, large, secret, job, root, execution, file, leaves, hidden, hiddenFile, hiddenRoot } = stand);
});
afterAll(() => stand[Symbol.asyncDispose]());

/** The CIDs of a CAR in order, each block hashed. */
async function blocksOf(answer: Answer): Promise<{ roots: string[]; cids: string[] }> {
  expect(answer.status).toBe(200);
  const reader = await CarReader.fromBytes(new Uint8Array(answer.raw));
  const cids: string[] = [];
  for await (const { cid, bytes } of reader.blocks()) {
    expect(createHash('sha256').update(bytes).digest()).toEqual(Buffer.from(cid.multihash.digest));
    cids.push(cid.toString());
  }
  return { roots: (await reader.getRoots()).map(String), cids };
}

const car = (path: string, query = '') => api.get(`/ipfs/${path}?format=car${query}`);
const inFolder = () => `${root}/executions/${execution}/files/notes/answer.html`;

test('a file of several blocks has the CID of profile unixfs-v1-2025, in the receipt too', async () => {
  const { json } = await api.get(`/api/v1/executions/${execution}`);
  expect(json.files).toMatchObject([{ name: 'notes/answer.html', size: large.length, cid: file }]);
  expect(json.receipt.files[0].cid).toBe(file);
});

test("a job's directory is what an importer makes of its files", async () => {
  expect(stand.early).toBe('bundle_not_ready');
  const first = await blocksOf(await car(root));
  expect(first.roots).toEqual([root]);
  // One file in two executions: its root and its four leaves are there once.
  expect(first.cids.filter((cid) => cid === file)).toHaveLength(1);
  expect((await car(root, '&car-dups=y')).raw.length).toBeGreaterThan(
    (await car(root)).raw.length + large.length,
  );
  const again = await api.get(`/api/v1/jobs/${job}/directory`);
  expect(again.json).toEqual({
    job_id: job,
    directory_cid: root,
    gateway: `/ipfs/${root}`,
    publications: [],
  });
  expect((await api.get(`/api/v1/jobs/${job}`)).json.job.directory_cid).toBe(root);
});

describe('a raw block', () => {
  test.each([
    ['the root of a file', () => file],
    ['a leaf', () => leaves[1]!],
    ['a directory', () => root],
  ])('%s is served by its CID', async (_what, cid) => {
    const answer = await api.get(`/ipfs/${cid()}?format=raw`);
    expect(answer.status).toBe(200);
    expect(createHash('sha256').update(answer.raw).digest()).toEqual(
      Buffer.from(CID.parse(cid()).multihash.digest),
    );
    expect(answer.headers).toMatchObject({
      'content-type': 'application/vnd.ipld.raw',
      'content-length': String(answer.raw.length),
      'content-disposition': `attachment; filename="${cid()}.bin"`,
      'x-content-type-options': 'nosniff',
      'content-security-policy': expect.stringContaining('sandbox'),
      'cache-control': 'public, max-age=29030400, immutable',
      'x-ipfs-path': `/ipfs/${cid()}`,
      'x-ipfs-roots': cid(),
      etag: `"${cid()}.raw"`,
      'access-control-allow-origin': '*',
    });
  });

  test('is chosen by the Accept header too, under the name that was asked for', async () => {
    const answer = await api.get(`/ipfs/${file}?filename=../a%20b.bin`, {
      accept: 'application/vnd.ipld.raw',
    });
    expect(answer.headers['content-disposition']).toBe('attachment; filename="a_b.bin"');
  });

  test('is named by CIDs of every kind', async () => {
    const cid = CID.parse(file);
    expect(cid.toV0().toString()).toMatch(/^Qm/);
    const { base36 } = await import('multiformats/bases/base36');
    const expected = (await api.get(`/ipfs/${file}?format=raw`)).raw;
    for (const name of [cid.toV0().toString(), cid.toString(base36)])
      expect((await api.get(`/ipfs/${name}?format=raw`)).raw).toEqual(expected);
  });

  test('answers HEAD, and 304 to who has it', async () => {
    const url = `/ipfs/${file}?format=raw`;
    const { raw } = await api.get(url);
    const head = await api.app.inject({ method: 'HEAD', url });
    expect([head.statusCode, head.headers['content-length'], head.body]).toEqual([
      200,
      String(raw.length),
      '',
    ]);
    const known = await api.get(url, { 'if-none-match': `W/"x", "${file}.raw"` });
    expect([known.status, known.text]).toEqual([304, '']);
    expect((await api.get(url, { 'if-none-match': `"${file}"` })).status).toBe(200);
  });

  test('has no path', async () => {
    const answer = await api.get(`/ipfs/${root}/manifest.json?format=raw`);
    expect(answer).toMatchObject({ status: 400, json: { code: 'ipfs_request_invalid' } });
  });
});

describe('a CAR', () => {
  test('of a path has the blocks of the way first, depth first', async () => {
    const { roots, cids } = await blocksOf(await car(inFolder()));
    expect(roots).toEqual([file]);
    expect(cids[0]).toBe(root);
    expect(cids.slice(-5)).toEqual([file, ...leaves]);
    // Root, executions, the execution, files, notes.
    expect(cids).toHaveLength(10);
    const answer = await car(inFolder());
    expect(answer.headers).toMatchObject({
      'content-type': 'application/vnd.ipld.car; version=1; order=dfs; dups=n',
      'content-disposition': `attachment; filename="${root}.car"`,
      'x-ipfs-path': `/ipfs/${inFolder()}`,
    });
    expect(String(answer.headers['x-ipfs-roots']).split(',')).toEqual([...cids.slice(0, 5), file]);
  });

  test.each([
    ['block', 1],
    ['entity', 1],
    ['all', 30],
  ])('of a directory has, with dag-scope=%s, %i blocks or more', async (scope, least) => {
    const { cids } = await blocksOf(await car(root, `&dag-scope=${scope}`));
    if (scope === 'all') expect(cids.length).toBeGreaterThan(15);
    else expect(cids).toHaveLength(least);
  });

  test.each([
    ['0:0', [0]],
    ['0:*', [0, 1, 2, 3]],
    [`${MIB}:${2 * MIB}`, [1, 2]],
    ['-5:*', [3]],
    ['-99999999:*', [0, 1, 2, 3]],
    [`-99999999:-${MIB}`, [0, 1, 2]],
    ['10:5', []],
  ])('with entity-bytes=%s has the leaves that it takes', async (range, wanted) => {
    const { cids } = await blocksOf(await car(file, `&dag-scope=entity&entity-bytes=${range}`));
    expect(cids).toEqual([file, ...wanted.map((at) => leaves[at])]);
  });

  test('names itself by scope, range, path and duplicates', async () => {
    const tags = await Promise.all(
      [
        '',
        '&dag-scope=block',
        '&dag-scope=entity',
        '&entity-bytes=0:1',
        '&entity-bytes=0:2',
        '&car-dups=y',
      ].map(async (query) => (await car(root, query)).headers.etag),
    );
    expect(new Set([...tags, (await car(inFolder())).headers.etag]).size).toBe(7);
    const etag = String((await car(root)).headers.etag);
    const known = await api.get(`/ipfs/${root}?format=car`, { 'if-none-match': etag });
    expect(known.status).toBe(304);
  });

  test('answers HEAD without reading the tree', async () => {
    const answer = await api.app.inject({ method: 'HEAD', url: `/ipfs/${root}?format=car` });
    expect([answer.statusCode, answer.body]).toEqual([200, '']);
  });

  test('takes its parameters from Accept, and the query decides', async () => {
    const accept = 'application/vnd.ipld.car; order=none, application/vnd.ipld.car; order=dfs; dups=y; q=0.5';
    expect((await api.get(`/ipfs/${root}`, { accept })).headers['content-type']).toContain('dups=y');
    const asked = await api.get(`/ipfs/${root}?format=car&car-dups=n`, { accept });
    expect(asked.headers['content-type']).toContain('dups=n');
    const raw = await api.get(`/ipfs/${root}?format=raw`, { accept });
    expect(raw.headers['content-type']).toBe('application/vnd.ipld.raw');
  });
});

test('the probe and other CIDs that hold their bytes in themselves are served', async () => {
  const raw = await api.get('/ipfs/bafkqaaa?format=raw');
  expect([raw.status, raw.raw.length]).toEqual([200, 0]);
  expect(await blocksOf(await car('bafkqaaa'))).toEqual({ roots: ['bafkqaaa'], cids: [] });
  expect((await api.app.inject({ method: 'HEAD', url: '/ipfs/bafkqaaa?format=raw' })).statusCode).toBe(200);
});

describe('says no', () => {
  const nowhere = 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e';
  test.each<[string, number, string, () => string, Record<string, string>]>([
    ['without any format', 400, 'ipfs_format_missing', () => `/ipfs/${root}`, { accept: '' }],
    ['to a browser', 406, 'ipfs_format_unsupported', () => `/ipfs/${root}`, { accept: 'text/html, */*' }],
    ['to a conversion', 406, 'ipfs_format_unsupported', () => `/ipfs/${root}?format=dag-json`, {}],
    ['to a format that is none', 400, 'ipfs_request_invalid', () => `/ipfs/${root}?format=zip`, {}],
    ['to what is no CID', 400, 'ipfs_request_invalid', () => `/ipfs/readme?format=raw`, {}],
    [
      'to another CAR version',
      400,
      'ipfs_request_invalid',
      () => `/ipfs/${root}?format=car&car-version=2`,
      {},
    ],
    ['to a wrong scope', 400, 'ipfs_request_invalid', () => `/ipfs/${root}?format=car&dag-scope=some`, {}],
    ['to a wrong range', 400, 'ipfs_request_invalid', () => `/ipfs/${file}?format=car&entity-bytes=a:b`, {}],
    [
      'to a range outside',
      400,
      'ipfs_request_invalid',
      () => `/ipfs/${file}?format=car&entity-bytes=99999999:*`,
      {},
    ],
    ['to an unknown CID', 404, 'ipfs_not_found', () => `/ipfs/${nowhere}?format=raw`, {}],
    ['to an unknown path', 404, 'ipfs_not_found', () => `/ipfs/${root}/nothing?format=car`, {}],
    ['to a path through a file', 404, 'ipfs_not_found', () => `/ipfs/${inFolder()}/more?format=car`, {}],
    [
      'where nothing is cached',
      412,
      'ipfs_not_cached',
      () => `/ipfs/${nowhere}?format=raw`,
      { 'cache-control': 'only-if-cached' },
    ],
  ])('%s: %i %s', async (_what, status, code, url, headers) => {
    const { accept, ...others } = headers;
    const answer = await api.get(url(), accept === '' ? others : { accept: accept ?? '*/*', ...others });
    expect(answer).toMatchObject({ status, json: { code } });
    if (code.startsWith('ipfs_format')) expect(answer.json.error).toContain('/api/v1/transparency/bundles/');
    expect(String(answer.headers['cache-control'])).not.toContain('immutable');
  });
});

describe('of a private job', () => {
  test('a stranger sees nothing: its CIDs answer as unknown ones', async () => {
    const { cid: leaf } = await importedFile(secret.subarray(0, MIB));
    for (const cid of [hiddenRoot, hiddenFile, leaf])
      for (const url of [`/ipfs/${cid}?format=raw`, `/ipfs/${cid}?format=car`]) {
        expect(await api.get(url)).toMatchObject({ status: 404, json: { code: 'ipfs_not_found' } });
        expect((await api.get(url, { 'if-none-match': '*' })).status).toBe(404);
        expect((await api.get(url, operator)).status).toBe(200);
      }
    expect((await api.get(`/api/v1/transparency/bundles/${hiddenFile}`)).json.code).toBe('bundle_not_found');
    expect((await api.get(`/api/v1/jobs/${hidden}/directory`)).json.code).toBe('job_not_found');
    const mine = await api.get(`/ipfs/${hiddenFile}?format=raw`, operator);
    expect(mine.headers['cache-control']).toBe('private, no-cache');
  });
});
