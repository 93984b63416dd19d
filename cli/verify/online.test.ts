import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { generateLogKey } from '../../attestation/keys/log-key.ts';
import { generateReceiptKey } from '../../attestation/keys/receipt-key.ts';
import {
  buildFirstKeyStart,
  buildKeyEnd,
  buildKeyStart,
  buildLogKeyStart,
} from '../../attestation/receipt/build.ts';
import { toHex } from '../../domain/encoding.ts';
import { parseTlogProof } from '../../domain/log/tlog-proof.ts';
import { formatVkey } from '../../domain/log/vkey.ts';
import type { JobBundle, LogLink } from '../../domain/receipt/bundle.ts';
import { logged } from '../../test/support/logged.ts';
import { recordedIo } from '../../test/support/recorded-io.ts';
import { signedJob, type SignedJob } from '../../test/support/signed-job.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { main } from '../command-line.ts';

const ORIGIN = 'beacon.test/log';
const next = generateLogKey();
const vkeyOf = (key: { signerFor: (origin: string) => Parameters<typeof formatVkey>[0] }) =>
  formatVkey(key.signerFor(ORIGIN));

let signed: SignedJob;
/** The start of `next`, which the log's first key signed. */
let start: LogLink;
let server: Server;
let url: string;
let answers: Record<string, unknown>;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;

beforeAll(async () => {
  signed = await signedJob();
  const statements = [
    await buildFirstKeyStart(signed.receiptKey),
    await buildLogKeyStart(next, signed.logKey, ORIGIN),
  ];
  [, start] = (await logged(statements, signed.logKey.signerFor(ORIGIN), next.signerFor(ORIGIN))) as [
    LogLink,
    LogLink,
  ];
  server = createServer((request, response) => {
    const answer = answers[request.url ?? ''] ?? answers[(request.url ?? '').split('?')[0]!];
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer ?? { error: 'not found', error_code: 'not_found' }));
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
  answers = {
    '/api/v1/transparency/root': { vkey: signed.trust.vkeys[0] },
    '/api/v1/transparency/keys': keys(signed.job.key_proofs),
    '/api/v1/jobs/job-1/bundle': signed.job,
  };
});
afterEach(() => folder[Symbol.asyncDispose]());

/** What a service lists of keys whose entries these are. */
function keys(entries: readonly LogLink[], starts: readonly LogLink[] = []) {
  return {
    log_keys: [
      { vkey: signed.trust.vkeys[0], start: null },
      ...starts.map((link) => ({ vkey: vkeyOf(next), start: link })),
    ],
    receipt_keys: entries.map(({ dsse, leaf, tlog_proof }) => {
      const { index, proof } = parseTlogProof(tlog_proof);
      return { index, hashes: proof.map(toHex), dsse, leaf };
    }),
  };
}

async function verify(...argv: string[]) {
  const io = recordedIo({ cwd: folder.path, env: { BEACON_API: url } });
  const code = await main(['verify', ...argv], io);
  return { code, out: io.out(), err: io.err() };
}

const pins = () => readFile(path.join(folder.path, '.beacon', 'trust.json'), 'utf8');

test('a log that was rotated to another key is followed once, and pinned', async () => {
  expect((await verify('job-1')).code).toBe(0);
  const later = await signed.remade({ checkpointBy: [next] });
  answers['/api/v1/jobs/job-1/bundle'] = later;
  expect((await verify('job-1')).out).toContain('breaks at checkpoint');

  answers['/api/v1/transparency/keys'] = keys(later.key_proofs, [start]);
  const followed = await verify('job-1');
  expect(followed.code).toBe(0);
  expect(followed.err).toContain(vkeyOf(next));
  expect(JSON.parse(await pins())).toMatchObject({
    logs: [{ origin: ORIGIN, vkeys: [signed.trust.vkeys[0], vkeyOf(next)] }],
  });
  answers['/api/v1/transparency/keys'] = undefined;
  expect(await verify('job-1')).toMatchObject({ code: 0, err: '' });
});

test('while both keys sign, the new one is followed already', async () => {
  await verify('job-1');
  const both = await signed.remade({ checkpointBy: [signed.logKey, next] });
  answers['/api/v1/jobs/job-1/bundle'] = both;
  answers['/api/v1/transparency/keys'] = keys(both.key_proofs, [start]);
  expect((await verify('job-1')).err).toContain(vkeyOf(next));
  expect(await pins()).toContain(vkeyOf(next));
});

test('a key that nobody trusted vouches for is not followed', async () => {
  await verify('job-1');
  const stranger = generateLogKey();
  const forged = await buildLogKeyStart(next, stranger, ORIGIN);
  const [link] = await logged([forged], stranger.signerFor(ORIGIN), next.signerFor(ORIGIN));
  const later = await signed.remade({ checkpointBy: [next] });
  answers['/api/v1/jobs/job-1/bundle'] = later;
  answers['/api/v1/transparency/keys'] = keys(later.key_proofs, [link!]);
  expect((await verify('job-1')).out).toContain('breaks at checkpoint');
  expect(await pins()).not.toContain(vkeyOf(next));
});

test('with --vkey a new key is followed, and nothing pinned', async () => {
  const later = await signed.remade({ checkpointBy: [next] });
  answers['/api/v1/jobs/job-1/bundle'] = later;
  answers['/api/v1/transparency/keys'] = keys(later.key_proofs, [start]);
  expect((await verify('job-1', '--vkey', signed.trust.vkeys[0]!)).code).toBe(0);
  await expect(pins()).rejects.toThrow('ENOENT');
});

test('a receipt that was logged after the end of its key is refused when the log can be asked', async () => {
  const [old, other] = [signed.receiptKey, generateReceiptKey()];
  const statements = [
    await buildFirstKeyStart(old),
    await buildKeyStart(other, old),
    await buildKeyEnd(old, other),
  ];
  const whole = await signed.remade({
    keys: [old, other],
    signedBy: (index) => (index < 0 ? 1 : 0),
    starts: statements,
  });
  const bundle: JobBundle = { ...whole, key_proofs: whole.key_proofs.slice(0, 2) };
  answers['/api/v1/jobs/job-1/bundle'] = bundle;
  answers['/api/v1/transparency/keys'] = keys(whole.key_proofs);
  const online = await verify('job-1', '--save', 'b.json');
  expect(online.code).toBe(1);
  expect(online.out).toContain('breaks at key');

  const offline = await verify('./b.json');
  expect(offline.code).toBe(0);
  expect(offline.out).toContain('not checked for retirement');
  expect((await verify('./b.json', '--online')).code).toBe(1);

  answers['/api/v1/transparency/keys'] = keys(bundle.key_proofs);
  const alive = await verify('./b.json', '--online');
  expect(alive.code).toBe(0);
  expect(alive.out).toContain('checked for retirement up to entry');
});

test('key entries that do not hold are a negative verdict', async () => {
  const [entry] = signed.job.key_proofs;
  answers['/api/v1/transparency/keys'] = keys([{ ...entry!, leaf: `${entry!.leaf} ` }]);
  expect((await verify('job-1')).out).toContain('breaks at key');
  await writeFile(path.join(folder.path, 'b.json'), JSON.stringify(signed.job));
  expect((await verify('./b.json')).code).toBe(0);
});
