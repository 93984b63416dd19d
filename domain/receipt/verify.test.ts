import { beforeAll, describe, expect, it } from 'vitest';
import { generateReceiptKey } from '../../attestation/keys/receipt-key.ts';
import { buildFirstKeyStart } from '../../attestation/receipt/build.ts';
import { alterSpec, KEY_CASES, LINK_CASES, specText } from '../../test/support/altered-bundles.ts';
import { jobSpec, signedSpec } from '../../test/support/jobs.ts';
import { signedJob, type SignedJob } from '../../test/support/signed-job.ts';
import { portableVerifiers } from '../crypto-portable.ts';
import { fromUtf8, toBase64, toHex, utf8 } from '../encoding.ts';
import { canonicalJson } from '../json/jcs.ts';
import type { ExecutionBundle } from './bundle.ts';
import type { ExecutionReceipt, Origin, ReceiptRegion } from './execution-receipt.ts';
import { specVerifier } from './spec-facts.ts';
import type { Link } from './verdict.ts';
import { verifyBundle } from './verify.ts';

let signed: SignedJob;
/** The envelope with which another receipt key starts. */
let strangersStart: string;
beforeAll(async () => {
  signed = await signedJob();
  strangersStart = fromUtf8((await buildFirstKeyStart(generateReceiptKey())).dsse)!;
});

const copy = <T>(value: T): T => structuredClone(value);
const verify = (bundle: unknown) => verifyBundle(bundle, signed.trust, signed.tools);

/** The bundle of the first execution where its receipt says something else, well signed and logged. */
async function executionOf(
  change: (receipt: ExecutionReceipt) => ExecutionReceipt,
): Promise<ExecutionBundle> {
  const { executions, key_proofs } = await signed.remade({ receipts: [change(signed.receipts[0]!)] });
  return { ...signed.execution, ...executions[0]!, key_proof: key_proofs[0]! };
}

describe('an execution bundle', () => {
  it('holds, with Node and with portable cryptography, and tells what was checked', () => {
    const tools = { verifiers: portableVerifiers, verifySpec: specVerifier(portableVerifiers) };
    for (const verdict of [verify(signed.execution), verifyBundle(signed.execution, signed.trust, tools)]) {
      expect(verdict).toMatchObject({
        ok: true,
        kind: 'execution',
        origin: 'beacon.test/log',
        treeSize: 5,
        outcome: 'completed',
        jobId: 'job-1',
        specForm: 'V0',
        receiptKeyIds: [signed.receiptKey.id],
        executions: [{ executionId: signed.receipts[0]!.execution_id, logIndex: 1 }],
        notes: [expect.stringContaining('retirement')],
      });
    }
  });

  it('holds without its job spec, and says so', () => {
    const { spec: _spec, ...bundle } = signed.execution;
    const verdict = verify(bundle);
    expect(verdict).toMatchObject({
      ok: true,
      notes: [expect.stringContaining('retirement'), expect.stringContaining('spec')],
    });
    expect(verdict).not.toHaveProperty('specForm');
  });

  it('of no job names none', async () => {
    const { spec: _spec, ...bundle } = await executionOf((one) => ({
      ...one,
      origin: { ...one.origin, kind: 'task' },
    }));
    const verdict = verify(bundle);
    expect(verdict).toMatchObject({ ok: true });
    expect(verdict).not.toHaveProperty('jobId');
  });

  it.each(LINK_CASES)('with %s altered is refused by that name', (_what, change, broken) => {
    const bundle = copy(signed.execution);
    change(bundle);
    expect(verify(bundle)).toMatchObject({ ok: false, link: broken, where: 'receipt' });
  });

  it.each(KEY_CASES)('with %s of its key entry altered is refused by that name', (_what, change, broken) => {
    const bundle = copy(signed.execution);
    change(bundle.key_proof);
    expect(verify(bundle)).toMatchObject({ ok: false, link: broken, where: 'key_proof' });
  });

  const others: [string, (bundle: ExecutionBundle) => void, Link][] = [
    ['a byte of the job spec', (b) => (b.spec = alterSpec(b.spec!)), 'spec'],
    ['white space in the job spec', (b) => (b.spec = toBase64(utf8(`${specText(b.spec!)}\n`))), 'spec'],
    ['a job spec that is not base64', (b) => (b.spec = `${b.spec!}\n`), 'spec'],
    [
      'another, well signed job spec',
      (b) => (b.spec = toBase64(signedSpec(jobSpec({ id: 'job-1' })))),
      'spec',
    ],
    [
      'the outcome in the receipt',
      (b) => (b.receipt = b.receipt.replace('completed', 'cancelled')),
      'receipt',
    ],
    ['the salt in the receipt', (b) => (b.receipt = b.receipt.replace('5a5a', '5a5b')), 'receipt'],
    ['the output in the receipt', (b) => (b.receipt = b.receipt.replace('from US', 'from EU')), 'receipt'],
    ['the form of the receipt', (b) => (b.receipt = b.receipt.replace('{', '{ ')), 'receipt'],
    [
      'a member of the receipt left out',
      (b) => (b.receipt = b.receipt.replace('"files":[],', '')),
      'receipt',
    ],
    ['the receipt of another execution', (b) => (b.receipt = signed.job.executions[1]!.receipt), 'receipt'],
    [
      'the envelope of another execution',
      (b) => Object.assign(b, { dsse: signed.job.executions[1]!.dsse }),
      'receipt',
    ],
    [
      'the leaf of another execution',
      (b) => Object.assign(b, { leaf: signed.job.executions[1]!.leaf }),
      'leaf',
    ],
    ['another receipt key', (b) => (b.key_proof.dsse = strangersStart), 'key'],
  ];
  it.each(others)('with %s is refused by that name', (_what, change, broken) => {
    const bundle = copy(signed.execution);
    change(bundle);
    expect(verify(bundle)).toMatchObject({ ok: false, link: broken });
  });

  const otherWork: [string, (receipt: ExecutionReceipt) => ExecutionReceipt][] = [
    ['region', (one) => ({ ...one, region: { ...one.region!, requested: 'ME' } })],
    ['model', (one) => ({ ...one, model: 'another' })],
    ['question', (one) => ({ ...one, question: { index: 0, text: 'who am I?' } })],
    ['image', (one) => ({ ...one, image_requested: 'builtin:other' })],
    ['input', (one) => ({ ...one, input_sha256: '00'.repeat(32) })],
  ];
  it.each(otherWork)('of another %s than the spec asks for is refused', async (_what, change) => {
    expect(verify(await executionOf(change))).toMatchObject({ ok: false, link: 'spec', where: 'receipt' });
  });

  const otherOrigins: [string, Partial<Origin>][] = [
    ['hash of the spec', { spec_sha256: '00'.repeat(32) }],
    ['job', { id: 'job-2' }],
    ['public key', { public_key: toBase64(new Uint8Array(32)) }],
    ['canonical form', { form: 'G0' }],
  ];
  it.each(otherOrigins)('that states another %s than the spec has is refused', async (_what, change) => {
    const bundle = await executionOf((one) => ({ ...one, origin: { ...one.origin, ...change } }));
    expect(verify(bundle)).toMatchObject({ ok: false, link: 'spec', where: 'receipt' });
  });

  const found = { class: 'P1', probe: { country: 'DE' } };
  const foundHash = toHex(portableVerifiers.sha256(utf8(canonicalJson(found))));
  const regions: [string, Partial<ReceiptRegion>, boolean][] = [
    ['observed where it was to run', { observed: 'US', verified: true, method: 'preflight-geoip' }, true],
    [
      'verified, and observed elsewhere',
      { observed: 'EU', verified: true, method: 'preflight-geoip' },
      false,
    ],
    ['verified without an observation', { claimed: 'US', verified: true, method: 'preflight-geoip' }, false],
    ['verified by no method', { observed: 'US', verified: true, method: 'none' }, false],
    ['with the evidence of its hash', { evidence: found, evidence_sha256: foundHash }, true],
    ['with other evidence', { evidence: { ...found, class: 'P0' }, evidence_sha256: foundHash }, false],
    ['with evidence that nothing vouches for', { evidence: found }, false],
    ['whose evidence is not shown', { evidence_sha256: foundHash }, true],
  ];
  it.each(regions)('a region %s', async (_what, over, ok) => {
    const bundle = await executionOf((one) => ({ ...one, region: { ...one.region!, ...over } }));
    expect(verify(bundle)).toMatchObject(ok ? { ok } : { ok, link: 'receipt' });
  });

  it('holds where its origin states neither key nor form', async () => {
    const bundle = await executionOf((one) => {
      const { kind, id, spec_sha256 } = one.origin;
      return { ...one, origin: { kind, id, spec_sha256 } };
    });
    expect(verify(bundle)).toMatchObject({ ok: true });
  });

  it('holds for any job where the spec names none', async () => {
    const bundle = await executionOf((one) => ({ ...one, origin: { ...one.origin, id: 'job-7' } }));
    const verifySpec: typeof signed.tools.verifySpec = (bytes) => {
      const { jobId: _jobId, ...facts } = signed.tools.verifySpec(bytes);
      return facts;
    };
    expect(verifyBundle(bundle, signed.trust, { ...signed.tools, verifySpec })).toMatchObject({
      ok: true,
      jobId: 'job-7',
    });
  });

  it('is not judged by cryptography that fails', () => {
    const verifiers = {
      ...signed.tools.verifiers,
      sha256: () => {
        throw new Error('no hash today');
      },
    };
    expect(() => verifyBundle(signed.execution, signed.trust, { ...signed.tools, verifiers })).toThrow(
      'no hash today',
    );
  });
});
