import { createHash, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { CarReader } from '@ipld/car';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { signedJob, testApi, testKey, type TestApi } from '../../test/support/api.ts';
import { attestedLog, type AttestedLog } from '../../test/support/attested.ts';
import { eventually } from '../../test/support/eventually.ts';
import { goProgram } from '../../test/support/go-program.ts';
import { startKubo } from '../../test/support/kubo.ts';
import { describeNeeding } from '../../test/support/needing.ts';
import { recordedIo } from '../../test/support/recorded-io.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { main } from '../command-line.ts';
import { createClient } from '../http/client.ts';
import { carOfBundle, carOfCid } from './car.ts';
import { CID } from 'multiformats/cid';

const program = await goProgram('kubo');
const large = randomBytes(2 * 1024 * 1024 + 3);
let api: TestApi;
let log: AttestedLog;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let url: string;
let job: string;
let execution: { id: string; ipfs_cid: string };

beforeAll(async () => {
  api = await testApi();
  url = await api.app.listen({ host: '127.0.0.1', port: 0 });
  log = await attestedLog(api.db);
  folder = await temporaryFolder();
  log.startSequencing();
  job = (await api.post(signedJob(testKey(), { questions: [] }))).json.id as string;
  await log.endJob(job, 'in blocks', large);
  await eventually(async () =>
    (await api.get(`/api/v1/jobs/${job}/bundle`)).status === 200 ? true : undefined,
  );
  [execution] = (await api.get(`/api/v1/jobs/${job}/executions`)).json.executions;
});
afterAll(async () => {
  await log[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const at = (name: string): string => path.join(folder.path, name);

async function exportCar(...words: string[]) {
  const io = recordedIo({ cwd: folder.path, env: { BEACON_API: url } });
  const code = await main(['export', ...words, '--car'], io);
  return { code, out: io.out(), err: io.err() };
}

/** The roots and the blocks of a CAR, each block hashed. */
async function read(name: string) {
  const reader = await CarReader.fromBytes(await readFile(at(name)));
  const blocks = new Map<string, Uint8Array>();
  for await (const { cid, bytes } of reader.blocks()) {
    expect(createHash('sha256').update(bytes).digest().equals(cid.multihash.digest), String(cid)).toBe(true);
    blocks.set(cid.toString(), bytes);
  }
  return { roots: (await reader.getRoots()).map(String), blocks };
}

const bundleBytes = async () => (await api.get(`/api/v1/executions/${execution.id}/bundle`)).raw;

test('of an execution or its CID it holds the receipt and the envelope, and nothing else', async () => {
  const receipt = (await api.get(`/api/v1/executions/${execution.id}/receipt`)).raw;
  for (const what of [execution.id, execution.ipfs_cid, `${job}#1`]) {
    expect(await exportCar(what, 'receipt.car'), what).toMatchObject({ code: 0, out: '' });
    const { roots, blocks } = await read('receipt.car');
    expect(roots[0]).toBe(execution.ipfs_cid);
    expect([...blocks.keys()]).toEqual(roots);
    expect(roots).toHaveLength(2);
    expect(Buffer.from(blocks.get(roots[0]!)!).equals(receipt)).toBe(true);
  }
  // A bundle file has it all, with the network off.
  await writeFile(at('e.json'), await bundleBytes());
  const vkey = (await api.get('/api/v1/transparency/root')).json.vkey as string;
  const io = recordedIo({ cwd: folder.path });
  expect(await main(['export', 'e.json', 'file.car', '--car', '--vkey', vkey], io)).toBe(0);
  expect(await readFile(at('file.car'))).toEqual(await readFile(at('receipt.car')));
});

test('with its files it holds every block of them, under the CIDs that the job has them', async () => {
  const { code, out } = await exportCar(execution.id, 'all.car', '--files', '--json');
  expect(code).toBe(0);
  const { roots, blocks } = await read('all.car');
  expect(JSON.parse(out)).toMatchObject({ format: 'car', file: 'all.car', roots });
  const { files } = (await api.get(`/api/v1/executions/${execution.id}`)).json;
  expect(roots[3]).toBe(files[0].cid);
  expect(Buffer.from(blocks.get(roots[2]!)!).toString()).toBe('in blocks');
  // Receipt, envelope, output, the file's node and its three leaves.
  expect(blocks.size).toBe(7);
});

test('of a directory it holds everything below', async () => {
  const { directory_cid: cid } = (await api.get(`/api/v1/jobs/${job}/directory`)).json;
  expect(await exportCar(cid, 'job.car')).toMatchObject({
    code: 0,
    err: expect.stringContaining('its CID'),
  });
  const { roots, blocks } = await read('job.car');
  expect(roots).toEqual([cid]);
  expect(blocks.has(execution.ipfs_cid)).toBe(true);
});

test('what is not as the receipt or the CID says is not written', async () => {
  const bundle = await bundleBytes();
  const client = createClient(url, new AbortController().signal);
  const { files } = (await api.get(`/api/v1/executions/${execution.id}`)).json;
  const altered = (change: (bytes: Buffer) => Uint8Array): typeof client => ({
    ...client,
    request: async (asked, request) => {
      const answer = await client.request(asked, request);
      return asked.includes(files[0].cid) ? { ...answer, bytes: change(Buffer.from(answer.bytes)) } : answer;
    },
  });
  const flipped = altered((bytes) => {
    bytes[bytes.length - 1]! ^= 1;
    return bytes;
  });
  await expect(carOfBundle(bundle, flipped)).rejects.toThrow('other bytes');
  await expect(carOfCid(CID.parse(files[0].cid), flipped)).rejects.toThrow('other bytes');
  // The last block is left out: three bytes, a CID of 36 and a length before both.
  const shortened = altered((bytes) => bytes.subarray(0, -(3 + 36 + 1)));
  await expect(carOfBundle(bundle, shortened)).rejects.toThrow('left out');
  await expect(carOfBundle(bundle, client)).resolves.toMatchObject({ roots: expect.any(Array) });
});

test('a CAR has a file to go to, and files only of an execution', async () => {
  expect(await exportCar(execution.id)).toMatchObject({ code: 2, err: expect.stringContaining('file') });
  expect(await exportCar(job, 'job.car', '--files')).toMatchObject({ code: 2 });
  const io = recordedIo({ cwd: folder.path, env: { BEACON_API: url } });
  expect(await main(['export', execution.id, '--leaf', '--files'], io)).toBe(2);
  expect(await exportCar(`bafkrei${'a'.repeat(52)}`, 'none.car')).toMatchObject({ code: 4 });
});

describeNeeding('a real Kubo', program.missing, () => {
  test('imports it, pins its roots and reads the file out of it', async () => {
    expect((await exportCar(execution.id, 'kubo.car', '--files')).code).toBe(0);
    await using kubo = await startKubo(program.path);
    const form = new FormData();
    form.append('file', new Blob([await readFile(at('kubo.car'))]), 'kubo.car');
    const answer = await fetch(`${kubo.url}/api/v0/dag/import?pin-roots=true`, {
      method: 'POST',
      body: form,
    });
    const pinned = (await answer.text())
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { Root: { Cid: { '/': string }; PinErrorMsg: string } }).Root);
    const { roots } = await read('kubo.car');
    expect(pinned.map(({ Cid }) => Cid['/']).sort()).toEqual([...roots].sort());
    expect(pinned.map(({ PinErrorMsg }) => PinErrorMsg)).toEqual(roots.map(() => ''));
    const file = await fetch(`${kubo.url}/api/v0/cat?arg=${roots[3]}`, { method: 'POST' });
    expect(Buffer.from(await file.arrayBuffer()).equals(large)).toBe(true);
  }, 60_000);
});
