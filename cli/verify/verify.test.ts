import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { generateLogKey } from '../../attestation/keys/log-key.ts';
import { generateReceiptKey } from '../../attestation/keys/receipt-key.ts';
import { formatVkey } from '../../domain/log/vkey.ts';
import type { JobBundle } from '../../domain/receipt/bundle.ts';
import { recordedIo } from '../../test/support/recorded-io.ts';
import { signedJob, type SignedJob } from '../../test/support/signed-job.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { main } from '../command-line.ts';

let signed: SignedJob;
let vkey: string;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  signed = await signedJob();
  vkey = signed.trust.vkeys[0]!;
});
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

const at = (name: string): string => path.join(folder.path, name);

async function beacon(...argv: string[]) {
  const io = recordedIo({ cwd: folder.path });
  const code = await main(argv, io);
  return { code, out: io.out(), err: io.err() };
}

const bundle = (): JobBundle => structuredClone(signed.job);
const write = (name: string, value: unknown) => writeFile(at(name), JSON.stringify(value));
const pem = (spki: Uint8Array): string =>
  `-----BEGIN PUBLIC KEY-----\n${Buffer.from(spki).toString('base64')}\n-----END PUBLIC KEY-----\n`;

test('a whole bundle verifies from its file, with code 0 and what was checked', async () => {
  await write('b.json', bundle());
  const { code, out, err } = await beacon('verify', 'b.json', '--vkey', vkey);
  expect([code, err]).toEqual([0, '']);
  expect(out).toMatch(/^VERIFIED job job-1: completed\n/);
  expect(out).toContain('3 of 3');
  const json = await beacon('verify', 'b.json', '--vkey', vkey, '--json');
  expect(JSON.parse(json.out)).toMatchObject({
    ok: true,
    jobId: 'job-1',
    executions: [{ logIndex: 1 }, {}, {}],
  });
});

test.each<[string, (bundle: JobBundle) => unknown, string]>([
  [
    'the job spec',
    (b) =>
      (b.spec = Buffer.from(Buffer.from(b.spec, 'base64').toString().replace('US', 'CA')).toString('base64')),
    'spec',
  ],
  [
    'a receipt',
    (b) => (b.executions[1]!.receipt = b.executions[1]!.receipt.replace('from EU', 'from US')),
    'receipt',
  ],
  ['a receipt left out', (b) => b.executions.pop(), 'completeness'],
  ['a receipt twice', (b) => b.executions.push(b.executions[0]!), 'completeness'],
  [
    'the summary',
    (b) => (b.summary.summary = b.summary.summary.replace('"completed":3', '"completed":2')),
    'summary',
  ],
  ['an envelope', (b) => (b.summary.dsse = `${b.summary.dsse} `), 'dsse'],
  ['a log entry', (b) => (b.executions[2]!.leaf = b.executions[0]!.leaf), 'leaf'],
  [
    'the checkpoint',
    (b) => (b.executions[0]!.tlog_proof = b.executions[0]!.tlog_proof.replace(/\n5\n/, '\n6\n')),
    'checkpoint',
  ],
  [
    'a proof',
    (b) => (b.executions[0]!.tlog_proof = b.executions[0]!.tlog_proof.replace('index 1', 'index 2')),
    'proof',
  ],
])('with %s altered the file fails with code 1 and names the link', async (_what, alter, link) => {
  const altered = bundle();
  alter(altered);
  await write('b.json', altered);
  const { code, out } = await beacon('verify', 'b.json', '--vkey', vkey);
  expect(code).toBe(1);
  expect(out).toContain(`NOT VERIFIED: the chain breaks at ${link}`);
  expect(JSON.parse((await beacon('verify', 'b.json', '--vkey', vkey, '--json')).out)).toMatchObject({
    ok: false,
    link,
  });
});

test('a file that is no bundle is a negative verdict; one that is not there a mistake', async () => {
  await writeFile(at('b.json'), '\u0000not json');
  expect(await beacon('verify', 'b.json', '--vkey', vkey)).toMatchObject({ code: 1 });
  const untrusted = await beacon('verify', 'b.json');
  expect(untrusted.code).toBe(1);
  expect(untrusted.out).toContain('breaks at bundle');
  const missing = await beacon('verify', './none.json', '--vkey', vkey);
  expect(missing.code).toBe(2);
  expect(missing.err).toContain('no such file');
});

test('nothing in the file is trusted: without a key the answer is code 2 and the way out', async () => {
  await write('b.json', bundle());
  const { code, err } = await beacon('verify', 'b.json');
  expect(code).toBe(2);
  expect(err).toContain('--vkey');
  expect((await beacon('verify', 'b.json', '--vkey', 'nonsense')).code).toBe(2);
  const stranger = formatVkey(generateLogKey().signerFor('beacon.test/log'));
  expect((await beacon('verify', 'b.json', '--vkey', stranger)).out).toContain('breaks at checkpoint');
});

test('--key holds receipts to one receipt key', async () => {
  await write('b.json', bundle());
  await writeFile(at('right.pem'), pem(signed.receiptKey.spki));
  await writeFile(at('wrong.pem'), pem(generateReceiptKey().spki));
  expect((await beacon('verify', 'b.json', '--vkey', vkey, '--key', 'right.pem')).code).toBe(0);
  const wrong = await beacon('verify', 'b.json', '--vkey', vkey, '--key', 'wrong.pem');
  expect(wrong.code).toBe(1);
  expect(wrong.out).toContain('breaks at key');
});

test('names from a bundle cannot reach the terminal', async () => {
  const evil = { media_type: 'x', more: '\u001b[2J' };
  await write('b.json', { ...bundle(), ['\u001b[2J\u202e']: evil });
  const { out } = await beacon('verify', 'b.json', '--vkey', vkey);
  expect(out).not.toMatch(/[\u001b\u202e]/);
});
