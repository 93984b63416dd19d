import { beforeAll, describe, expect, it } from 'vitest';
import { generateReceiptKey } from '../../attestation/keys/receipt-key.ts';
import { buildErasure, buildFirstKeyStart } from '../../attestation/receipt/build.ts';
import { logged } from '../../test/support/logged.ts';
import { signedJob, type SignedJob } from '../../test/support/signed-job.ts';
import { fromUtf8 } from '../encoding.ts';
import { formatVkey } from '../log/vkey.ts';
import { ERASURE_BUNDLE, type ErasureBundle, type JobBundle } from './bundle.ts';
import { cidOfDigest } from './cid.ts';
import { verifyBundle } from './verify.ts';

let signed: SignedJob;
/** Of its three executions the second was erased. */
let job: JobBundle;
beforeAll(async () => {
  signed = await signedJob();
  job = await signed.remade({ erased: [{ index: 1 }] });
});

const verify = (bundle: unknown) => verifyBundle(bundle, signed.trust, signed.tools);
const broken = (link: string, where: string, reason: RegExp) => ({
  ok: false,
  link,
  where,
  reason: expect.stringMatching(reason) as string,
});

describe('a job of which an execution was erased', () => {
  it('holds, and says what is gone and why', () => {
    const verdict = verify(job);
    expect(verdict).toMatchObject({ ok: true, kind: 'job', receiptKeyIds: [signed.receiptKey.id] });
    expect(verdict).toMatchObject({
      executions: [0, 2].map((i) => ({ executionId: signed.receipts[i]!.execution_id, logIndex: 1 + i })),
      erased: [
        {
          executionId: signed.receipts[1]!.execution_id,
          reason: 'asked for',
          erasedAt: '2026-01-01T00:00:10.000Z',
          logIndex: 5,
          keyId: signed.receiptKey.id,
        },
      ],
    });
    expect(verify(signed.job)).not.toHaveProperty('erased');
  });

  it('holds when nothing is left of it', async () => {
    const none = await signed.remade({ erased: [{ index: 2 }, { index: 0 }, { index: 1 }] });
    expect(verify(none)).toMatchObject({
      ok: true,
      executions: [],
      erased: [2, 0, 1].map((i, place) => ({
        executionId: signed.receipts[i]!.execution_id,
        logIndex: 5 + place,
      })),
    });
  });

  it('is not complete without the erasure, or with both it and the receipt', () => {
    const { erased: _, ...without } = job;
    expect(verify(without)).toMatchObject({ ok: false, link: 'completeness' });
    const whole = { ...job, executions: [...job.executions, signed.job.executions[1]!] };
    expect(verify(whole)).toMatchObject({ ok: false });
    expect(verify({ ...job, erased: [...job.erased!, ...job.erased!] })).toMatchObject({ ok: false });
  });

  it('is refused with a list that says nothing', () => {
    expect(verify({ ...signed.job, erased: [] })).toEqual(broken('bundle', 'erased', /left out/));
    expect(verify({ ...signed.job, erased_later: [] })).toEqual(broken('bundle', 'erased_later', /left out/));
  });

  it('is refused with an erasure of another job, execution or receipt', async () => {
    const of = (change: object) => signed.remade({ erased: [{ index: 1, change }] });
    expect(verify(await of({ job_id: 'job-2' }))).toEqual(
      broken('completeness', 'erased[0]', /of another job/),
    );
    const execution_id = '0197a000-0000-7000-8000-00000000000f';
    expect(verify(await of({ execution_id }))).toMatchObject({ ok: false, link: 'completeness' });
    const receipt_cid = cidOfDigest(new Uint8Array(32));
    expect(verify(await of({ receipt_cid }))).toMatchObject({ ok: false, link: 'completeness' });
  });

  it('is refused when the entry does not stand in the log, or its signature does not hold', () => {
    const [entry] = job.erased!;
    const moved = { ...entry!, tlog_proof: job.executions[0]!.tlog_proof };
    expect(verify({ ...job, erased: [moved] })).toMatchObject({
      ok: false,
      link: 'proof',
      where: 'erased[0]',
    });
    const other = { ...entry!, dsse: job.executions[0]!.dsse };
    expect(verify({ ...job, erased: [other] })).toMatchObject({ ok: false, where: 'erased[0]' });
  });
});

describe('a job of which an execution was erased after its log was closed', () => {
  /** The entry in a log of its own, whose first key names another log that it follows, or none. */
  async function later(follows: boolean, jobId = 'job-1'): Promise<ErasureBundle> {
    const key = generateReceiptKey();
    const root = { origin: 'beacon.test/log', size: 5, root: '00'.repeat(32) };
    const receipt = signed.receipts[1]!;
    const erasure = {
      execution_id: receipt.execution_id,
      job_id: jobId,
      receipt_cid: cidOf(1),
      reason: 'asked for',
      erased_at: '2026-02-01T00:00:00.000Z',
    };
    const start = follows ? await buildFirstKeyStart(key, root) : await buildFirstKeyStart(key);
    const statements = [start, await buildErasure(erasure, key)];
    const [keyProof, entry] = await logged(statements, signed.logKey.signerFor(NEXT));
    return { media_type: ERASURE_BUNDLE, erasure: entry!, key_proof: keyProof! };
  }
  const NEXT = 'beacon.test/next';
  const cidOf = (index: number) => {
    const { subject } = JSON.parse(payloadOf(signed.job.executions[index]!.dsse)) as {
      subject: { digest: { sha256: string } }[];
    };
    return cidOfDigest(Uint8Array.from(Buffer.from(subject[0]!.digest.sha256, 'hex')));
  };
  const payloadOf = (dsse: string) =>
    fromUtf8(Buffer.from((JSON.parse(dsse) as { payload: string }).payload, 'base64'))!;
  const bundleWith = (erasure: ErasureBundle): JobBundle => ({
    ...signed.job,
    executions: signed.job.executions.filter((_, i) => i !== 1),
    erased_later: [erasure],
  });
  const verifyBoth = (bundle: JobBundle) => {
    const vkeys = [...signed.trust.vkeys, formatVkey(signed.logKey.signerFor(NEXT))];
    return verifyBundle(bundle, { ...signed.trust, vkeys }, signed.tools);
  };

  it('holds with the entry of the log that follows it, and names that log', async () => {
    expect(verifyBoth(bundleWith(await later(true)))).toMatchObject({
      ok: true,
      origin: 'beacon.test/log',
      erased: [{ executionId: signed.receipts[1]!.execution_id, origin: NEXT, logIndex: 1 }],
    });
  });

  it('is refused with the entry of a log that follows none, of another job, or that is not trusted', async () => {
    expect(verifyBoth(bundleWith(await later(false)))).toEqual(
      broken('key', 'erased_later[0]', /follows no other/),
    );
    expect(verifyBoth(bundleWith(await later(true, 'job-2')))).toEqual(
      broken('completeness', 'erased_later[0]', /of another job/),
    );
    expect(verify(bundleWith(await later(true)))).toMatchObject({ ok: false, link: 'checkpoint' });
  });
});
