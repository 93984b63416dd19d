import { createHash } from 'node:crypto';
import { CID } from 'multiformats/cid';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { largeFile, MIB, type LargeFile } from '../../../test/support/large-file.ts';

let stand: LargeFile;
let api: LargeFile['api'];
let log: LargeFile['log'];
let large: LargeFile['large'];
let root: LargeFile['root'];
let execution: LargeFile['execution'];
let file: LargeFile['file'];
let leaves: LargeFile['leaves'];

beforeAll(async () => {
  stand = await largeFile();
  ({ api, log, large, root, execution, file, leaves } = stand);
});
afterAll(() => stand[Symbol.asyncDispose]());

const car = (path: string, query = '') => api.get(`/ipfs/${path}?format=car${query}`);

describe('bundles/:cid', () => {
  const url = () => `/api/v1/transparency/bundles/${file}`;
  test('gives the bytes of a large file, whole and by ranges', async () => {
    const whole = await api.get(url());
    expect(whole.raw.equals(large)).toBe(true);
    expect(whole.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-length': String(large.length),
      'accept-ranges': 'bytes',
      etag: `"${file}"`,
    });
    for (const [range, from, to] of [
      ['bytes=0-9', 0, 10],
      [`bytes=${MIB - 2}-${MIB + 1}`, MIB - 2, MIB + 2],
      ['bytes=-7', large.length - 7, large.length],
      [`bytes=${3 * MIB}-`, 3 * MIB, large.length],
      ['bytes=5-99999999', 5, large.length],
    ] as const) {
      const part = await api.get(url(), { range });
      expect([part.status, part.headers['content-range']]).toEqual([
        206,
        `bytes ${from}-${to - 1}/${large.length}`,
      ]);
      expect(part.raw.equals(large.subarray(from, to)), range).toBe(true);
    }
    for (const range of ['bytes=9-1', 'lines=1-2', 'bytes=0-1,5-6'])
      expect((await api.get(url(), { range })).status).toBe(200);
    expect((await api.get(url(), { range: 'bytes=0-1', 'if-range': '"other"' })).status).toBe(200);
    const outside = await api.get(url(), { range: `bytes=${large.length}-` });
    expect(outside).toMatchObject({ status: 416, json: { code: 'range_not_satisfiable' } });
    expect(outside.headers['content-range']).toBe(`bytes */${large.length}`);
    const head = await api.app.inject({ method: 'HEAD', url: url() });
    expect([head.statusCode, head.headers['content-length'], head.body]).toEqual([
      200,
      String(large.length),
      '',
    ]);
  });

  test('gives a leaf, and sends whoever asks for a directory to the gateway', async () => {
    const leaf = await api.get(`/api/v1/transparency/bundles/${leaves[3]!}`, { range: 'bytes=1-2' });
    expect(leaf.raw).toEqual(large.subarray(3 * MIB + 1, 3 * MIB + 3));
    const directory = await api.get(`/api/v1/transparency/bundles/${root}`);
    expect(directory).toMatchObject({
      status: 404,
      json: { error: expect.stringContaining(`/ipfs/${root}`) },
    });
  });

  test("gives the same file as the execution's own link, which takes ranges too", async () => {
    const own = await api.get(`/api/v1/executions/${execution}/files/notes/answer.html`, {
      range: 'bytes=-3',
    });
    expect([own.status, own.raw.equals(large.subarray(-3))]).toEqual([206, true]);
  });
});

describe('damaged bytes are never served', () => {
  const damaged = async () =>
    (await api.metrics.shared.getSingleMetric('ipfs_blocks_damaged_total')!.get()).values[0]!.value;
  /** Changes stored bytes as nobody but the owner of the database can, for as long as `work` takes. */
  async function changed(change: string, undo: string, work: () => Promise<void>): Promise<void> {
    const client = new pg.Client({ connectionString: api.db.url });
    await client.connect();
    try {
      await client.query('set search_path = beacon');
      expect((await client.query(change)).rowCount).toBe(1);
      await work();
      await client.query(undo);
    } finally {
      await client.end();
    }
  }
  const flip = (where: string) =>
    [
      `update blobs set bytes = set_byte(bytes, 9, get_byte(bytes, 9) # 1) where ${where}`,
      `update blobs set bytes = set_byte(bytes, 9, get_byte(bytes, 9) # 1) where ${where}`,
    ] as const;
  const hex = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  const refusal = { status: 500, json: { code: 'block_damaged' } };

  test('a chunk of a large file: told where it begins the answer, cut off where it comes later', async () => {
    const before = await damaged();
    await changed(...flip(`sha256 = '\\x${hex(large)}' and part = 2`), async () => {
      expect(await api.get(`/ipfs/${leaves[2]!}?format=raw`)).toMatchObject(refusal);
      const url = `/api/v1/transparency/bundles/${file}`;
      expect(await api.get(url, { range: `bytes=${2 * MIB}-` })).toMatchObject(refusal);
      expect((await api.get(url, { range: 'bytes=0-9' })).status).toBe(206);
      await expect(api.get(url)).rejects.toThrow();
      await expect(car(file)).rejects.toThrow();
      expect((await car(file, '&entity-bytes=0:9')).status).toBe(200);
    });
    expect(await damaged()).toBe(before + 4);
    expect((await api.get(`/ipfs/${leaves[2]!}?format=raw`)).status).toBe(200);
  });

  test('the CID of a chunk', async () => {
    const where = `where sha256 = '\\x${hex(large)}' and part = 1`;
    await changed(
      `update blobs set leaf_cid = '${leaves[0]!}' ${where}`,
      `update blobs set leaf_cid = '${leaves[1]!}' ${where}`,
      async () => {
        for (const url of [`/ipfs/${file}?format=raw`, `/api/v1/transparency/bundles/${file}`])
          expect(await api.get(url)).toMatchObject(refusal);
      },
    );
  });

  test('an output, a receipt and what is made of it', async () => {
    log.startSequencing();
    await log.sizeReaches(6);
    await changed(...flip(`sha256 = '\\x${hex(Buffer.from('I am a test.'))}'`), async () => {
      expect(await api.get(`/api/v1/executions/${execution}/output`)).toMatchObject(refusal);
    });
    const { json } = await api.get(`/api/v1/executions/${execution}`);
    const digest = Buffer.from(CID.parse(json.ipfs_cid as string).multihash.digest).toString('hex');
    const flipBlock = `update blocks set bytes = set_byte(bytes, 9, get_byte(bytes, 9) # 1) where digest = '\\x${digest}'`;
    await changed(flipBlock, flipBlock, async () => {
      for (const url of [
        `/api/v1/executions/${execution}/receipt`,
        `/api/v1/executions/${execution}/bundle`,
        `/api/v1/transparency/bundles/${json.ipfs_cid}`,
        `/ipfs/${json.ipfs_cid}?format=raw`,
        `/ipfs/${json.ipfs_cid}?format=car`,
      ])
        expect(await api.get(url), url).toMatchObject(refusal);
    });
  });
});
