import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { generateLogKey } from '../../attestation/keys/log-key.ts';
import { formatVkey } from '../../domain/log/vkey.ts';
import { cidOfDigest } from '../../domain/receipt/cid.ts';
import { nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import { recordedIo } from '../../test/support/recorded-io.ts';
import { signedJob, type SignedJob } from '../../test/support/signed-job.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { main } from '../command-line.ts';

/** A service that answers whatever a test puts there: an honest one, and one that is not. */
let signed: SignedJob;
let server: Server;
let url: string;
let answers: Record<string, unknown>;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;

beforeAll(async () => {
  signed = await signedJob();
  server = createServer((request, response) => {
    const answer = answers[request.url ?? ''];
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer ?? { error: 'not found', error_code: 'execution_not_found' }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(async () => {
  folder = await temporaryFolder();
  const [first] = signed.receipts;
  answers = {
    '/api/v1/transparency/root': { vkey: signed.trust.vkeys[0] },
    '/api/v1/jobs/job-1/bundle': signed.job,
    '/api/v1/jobs/job-2/bundle': signed.job,
    [`/api/v1/executions/${first!.execution_id}/bundle`]: signed.execution,
  };
});
afterEach(() => folder[Symbol.asyncDispose]());

async function verify(...argv: string[]) {
  const io = recordedIo({ cwd: folder.path, env: { BEACON_API: url } });
  const code = await main(['verify', ...argv], io);
  return { code, out: io.out(), err: io.err() };
}

test('the first use pins the log key aloud, the second is quiet, and the pin then serves files too', async () => {
  const first = await verify('job-1', '--save', 'b.json');
  expect(first.code).toBe(0);
  expect(first.err).toContain(signed.trust.vkeys[0]);
  expect(await verify('job-1')).toMatchObject({ code: 0, err: '' });
  expect(await verify('./b.json')).toMatchObject({ code: 0, err: '' });
});

test('a service that comes with another log key later is refused', async () => {
  await verify('job-1');
  const stranger = formatVkey(generateLogKey().signerFor('beacon.test/log'));
  answers['/api/v1/transparency/root'] = { vkey: stranger };
  expect((await verify('job-1')).code).toBe(0);

  const other = await signedJob();
  answers['/api/v1/jobs/job-1/bundle'] = other.job;
  answers['/api/v1/transparency/root'] = { vkey: other.trust.vkeys[0] };
  const { code, out, err } = await verify('job-1');
  expect(code).toBe(1);
  expect(out).toContain('breaks at checkpoint');
  expect(err).toContain('trust.json');
});

test('--vkey pins nothing and asks the service for no key', async () => {
  answers['/api/v1/transparency/root'] = undefined;
  expect(await verify('job-1', '--vkey', signed.trust.vkeys[0]!)).toMatchObject({ code: 0, err: '' });
  await expect(readFile(path.join(folder.path, '.beacon', 'trust.json'))).rejects.toThrow('ENOENT');
});

test('the good bundle of another job or execution is no answer', async () => {
  const job = await verify('job-2');
  expect(job.code).toBe(1);
  expect(job.out).toContain('bundle of job job-1');

  const wanted = signed.receipts[1]!.execution_id;
  answers[`/api/v1/executions/${wanted}/bundle`] = signed.execution;
  expect((await verify(wanted)).code).toBe(1);
  expect((await verify(signed.receipts[0]!.execution_id.toUpperCase())).code).toBe(4);
  expect((await verify(signed.receipts[0]!.execution_id)).code).toBe(0);
});

test('a bundle saved by `job bundle` is named in JSON', async () => {
  const io = recordedIo({ cwd: folder.path, env: { BEACON_API: url } });
  expect(await main(['job', 'bundle', 'job-1', 'b.json', '--json'], io)).toBe(0);
  const { size } = await stat(path.join(folder.path, 'b.json'));
  expect([JSON.parse(io.out()), io.err()]).toEqual([{ job_id: 'job-1', file: 'b.json', bytes: size }, '']);
});

test('a CID is found through the log, and must be the one that was asked for', async () => {
  const cid = cidOfDigest(nodeSha256(Buffer.from(signed.job.executions[0]!.receipt)));
  const other = cidOfDigest(nodeSha256(Buffer.from('other')));
  const proof = { execution_id: signed.receipts[0]!.execution_id, job_id: 'job-1' };
  answers[`/api/v1/transparency/proof?ipfs_cid=${cid}`] = proof;
  answers[`/api/v1/transparency/proof?ipfs_cid=${other}`] = proof;
  expect((await verify(cid)).code).toBe(0);
  expect((await verify(other)).code).toBe(1);
});

test('an answer that is no bundle is a negative verdict, not a crash', async () => {
  answers['/api/v1/jobs/job-1/bundle'] = { media_type: 'nonsense' };
  const { code, out } = await verify('job-1');
  expect(code).toBe(1);
  expect(out).toContain('breaks at bundle');
});
