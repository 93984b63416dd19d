import { beforeAll, expect, it } from 'vitest';
import { generateLogKey } from '../../attestation/keys/log-key.ts';
import { nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import { generateReceiptKey } from '../../attestation/keys/receipt-key.ts';
import { buildFirstKeyStart } from '../../attestation/receipt/build.ts';
import { signedJob, type SignedJob } from '../../test/support/signed-job.ts';
import { fromBase64, fromUtf8, utf8 } from '../encoding.ts';
import { signCheckpoint } from '../log/checkpoint.ts';
import { parseTlogProof } from '../log/tlog-proof.ts';
import { formatVkey } from '../log/vkey.ts';
import { formatEnvelope, parseEnvelope, preAuthEncoding } from './dsse.ts';
import { leafOf } from './leaf.ts';
import { verifyBundle } from './verify.ts';
import { LogCheck } from './verify-log.ts';

let signed: SignedJob;
let other: SignedJob;
beforeAll(async () => {
  [signed, other] = await Promise.all([signedJob(), signedJob()]);
});

const ORIGIN = 'beacon.test/log';
const copy = <T>(value: T): T => structuredClone(value);
const strangersVkey = () => formatVkey(generateLogKey().signerFor(ORIGIN));

it('a bundle is refused for its checkpoint under another log key, none, or one that is no key', () => {
  for (const vkeys of [[strangersVkey()], [], ['x'], [...signed.trust.vkeys, 'x']]) {
    expect(verifyBundle(signed.execution, { vkeys }, signed.tools)).toMatchObject({
      ok: false,
      link: 'checkpoint',
    });
  }
});

it('a bundle holds under any of the trusted log keys, and under the origin that is demanded', () => {
  const vkeys = [strangersVkey(), ...signed.trust.vkeys];
  expect(verifyBundle(signed.execution, { vkeys, origin: ORIGIN }, signed.tools)).toMatchObject({ ok: true });
  expect(verifyBundle(signed.execution, { vkeys, origin: 'other' }, signed.tools)).toMatchObject({
    ok: false,
    link: 'checkpoint',
  });
});

it('a bundle is refused for its key when only other receipt keys are pinned', () => {
  const pinned = (id: string) =>
    verifyBundle(signed.execution, { ...signed.trust, receiptKeyIds: [id] }, signed.tools);
  expect(pinned('0123456789abcdef')).toMatchObject({ ok: false, link: 'key' });
  expect(pinned(signed.receiptKey.id)).toMatchObject({ ok: true });
});

it('a bundle is refused when its receipt key does not start the log', async () => {
  const job = await signed.remade({ keySecond: true });
  const execution = { ...signed.execution, ...job.executions[0]!, key_proof: job.key_proofs[0]! };
  for (const [bundle, where] of [
    [execution, 'key_proof'],
    [job, 'key_proofs[0]'],
  ] as const) {
    expect(verifyBundle(bundle, signed.trust, signed.tools)).toMatchObject({ ok: false, link: 'key', where });
  }
});

it('a bundle is refused when its key entry stands under another checkpoint', () => {
  const trust = { vkeys: [...signed.trust.vkeys, ...other.trust.vkeys] };
  const bundle = { ...copy(signed.execution), key_proof: other.execution.key_proof };
  expect(verifyBundle(bundle, trust, signed.tools)).toMatchObject({ ok: false, link: 'dsse' });
  bundle.key_proof = { ...signed.execution.key_proof, tlog_proof: other.execution.key_proof.tlog_proof };
  expect(verifyBundle(bundle, trust, signed.tools)).toMatchObject({
    ok: false,
    link: 'checkpoint',
    where: 'key_proof',
  });
});

it('a bundle holds when two log keys signed its one checkpoint, each for another entry', async () => {
  const second = generateLogKey().signerFor(ORIGIN);
  const bundle = copy(signed.execution);
  const { checkpoint, ...proof } = parseTlogProof(bundle.key_proof.tlog_proof);
  const [origin, size, root] = checkpoint.split('\n');
  const again = await signCheckpoint({ origin: origin!, size: Number(size), root: fromBase64(root!)! }, [
    second,
  ]);
  expect(proof.index).toBe(0);
  bundle.key_proof.tlog_proof = bundle.key_proof.tlog_proof.replace(checkpoint, again);
  const trust = { vkeys: [...signed.trust.vkeys, formatVkey(second)] };
  expect(verifyBundle(bundle, trust, signed.tools)).toMatchObject({ ok: true });
  expect(verifyBundle(bundle, signed.trust, signed.tools)).toMatchObject({ ok: false, link: 'checkpoint' });
});

it('a bundle is refused when its checkpoint is signed by a log that nobody trusts', async () => {
  const bundle = copy(signed.job);
  const forger = generateLogKey().signerFor(ORIGIN);
  for (const entry of [bundle.summary, ...bundle.executions, ...bundle.key_proofs]) {
    const { checkpoint } = parseTlogProof(entry.tlog_proof);
    const [origin, size, root] = checkpoint.split('\n');
    const forged = await signCheckpoint({ origin: origin!, size: Number(size), root: fromBase64(root!)! }, [
      forger,
    ]);
    entry.tlog_proof = entry.tlog_proof.replace(checkpoint, forged);
  }
  expect(verifyBundle(bundle, signed.trust, signed.tools)).toMatchObject({ ok: false, link: 'checkpoint' });
});

it('a bundle that is signed again by a key of the forger is refused, because its leaf is not in the log', async () => {
  const mine = generateReceiptKey();
  const { dsse, leaf } = await buildFirstKeyStart(mine);
  const bundle = copy(signed.execution);
  Object.assign(bundle.key_proof, { dsse: fromUtf8(dsse), leaf: fromUtf8(leaf) });
  const envelope = parseEnvelope(utf8(bundle.dsse));
  const signature = await mine.sign(preAuthEncoding(envelope.payloadType, envelope.payload));
  const again = { ...envelope, keyId: mine.id, signature };
  bundle.dsse = fromUtf8(formatEnvelope(again))!;
  bundle.leaf = fromUtf8(leafOf(again, { type: 'p256', spki: mine.spki }, nodeSha256))!;
  expect(verifyBundle(bundle, signed.trust, signed.tools)).toMatchObject({
    ok: false,
    link: 'proof',
    where: 'receipt',
  });
});

it('an entry is placed in the log only under a checkpoint that was checked', () => {
  const log = new LogCheck(signed.trust, signed.tools.verifiers);
  expect(() => log.verifyInclusion(signed.execution, 'proof', 'receipt')).toThrow(
    expect.objectContaining({ code: 'checkpoint' }),
  );
  log.verifyCheckpoint(signed.execution, 'receipt');
  expect(log.verifyInclusion(signed.execution, 'proof', 'receipt')).toBe(1);
});
