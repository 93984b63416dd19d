import { beforeAll, describe, expect, it } from 'vitest';
import { alterSpec, KEY_CASES, LINK_CASES } from '../../test/support/altered-bundles.ts';
import { signedJob, type SignedJob } from '../../test/support/signed-job.ts';
import type { JobBundle } from './bundle.ts';
import type { Link } from './verdict.ts';
import { verifyBundle } from './verify.ts';

let signed: SignedJob;
beforeAll(async () => {
  signed = await signedJob();
});

const copy = <T>(value: T): T => structuredClone(value);
const verify = (bundle: unknown) => verifyBundle(bundle, signed.trust, signed.tools);

describe('a job bundle', () => {
  it('holds, and tells what was checked', () => {
    expect(verify(signed.job)).toMatchObject({
      ok: true,
      kind: 'job',
      outcome: 'completed',
      jobId: 'job-1',
      specForm: 'V0',
      receiptKeyIds: [signed.receiptKey.id],
      executions: [{ logIndex: 1 }, { logIndex: 2 }, { logIndex: 3 }],
      notes: [expect.stringContaining('retirement')],
    });
  });

  it.each(LINK_CASES)('with %s of one execution altered is refused by that name', (_what, change, broken) => {
    const bundle = copy(signed.job);
    change(bundle.executions[2]!);
    expect(verify(bundle)).toMatchObject({ ok: false, link: broken, where: 'executions[2]' });
  });

  it.each(LINK_CASES)('with %s of the summary altered is refused by that name', (_what, change, broken) => {
    const bundle = copy(signed.job);
    change(bundle.summary);
    expect(verify(bundle)).toMatchObject({ ok: false, link: broken, where: 'summary' });
  });

  it.each(KEY_CASES)('with %s of a key entry altered is refused by that name', (_what, change, broken) => {
    const bundle = copy(signed.job);
    change(bundle.key_proofs[0]!);
    expect(verify(bundle)).toMatchObject({ ok: false, link: broken, where: 'key_proofs[0]' });
  });

  const others: [string, (bundle: JobBundle) => void, Link][] = [
    ['a byte of the job spec altered', (b) => (b.spec = alterSpec(b.spec)), 'spec'],
    [
      'the summary altered',
      (b) => (b.summary.summary = b.summary.summary.replace('5a5a', '5a5b')),
      'summary',
    ],
    [
      'a receipt left out of the summary',
      (b) => (b.summary.summary = b.summary.summary.replace(/\{"execution_id":"[^}]+\},/, '')),
      'summary',
    ],
    ['a receipt left out', (b) => b.executions.splice(1, 1), 'completeness'],
    ['all receipts left out', (b) => b.executions.splice(0), 'completeness'],
    ['a receipt doubled', (b) => b.executions.push(b.executions[0]!), 'completeness'],
    ['a receipt in the place of another', (b) => (b.executions[1] = b.executions[0]!), 'completeness'],
    ['two receipts swapped', (b) => swapReceipts(b), 'receipt'],
    ['no key entry', (b) => b.key_proofs.splice(0), 'dsse'],
  ];
  it.each(others)('with %s is refused by that name', (_what, change, broken) => {
    const bundle = copy(signed.job);
    change(bundle);
    expect(verify(bundle)).toMatchObject({ ok: false, link: broken });
  });

  it('holds in any order of its executions', () => {
    const bundle = copy(signed.job);
    bundle.executions.reverse();
    expect(verify(bundle)).toMatchObject({ ok: true });
  });

  it('is refused when an inline output is not that of its hash and size', async () => {
    const [first, ...rest] = signed.receipts;
    const output = first!.output!;
    for (const lie of [{ inline: 'something else' }, { inline: 'x'.repeat(output.size) }, { size: 1 }]) {
      const receipts = [{ ...first!, output: { ...output, ...lie } }, ...rest];
      expect(verify(await signed.remade({ receipts }))).toMatchObject({
        ok: false,
        link: 'receipt',
        where: 'executions[0]',
      });
    }
  });

  it('holds with an output that is not inline, and with none', async () => {
    const [first, second, ...rest] = signed.receipts;
    const { inline: _inline, ...output } = first!.output!;
    const receipts = [{ ...first!, output }, { ...second!, output: null }, ...rest];
    expect(verify(await signed.remade({ receipts }))).toMatchObject({ ok: true });
  });

  it('is refused when the summary is of another spec', async () => {
    const bundle = await signed.remade({
      summary: { origin: { ...signed.summary.origin, spec_sha256: '00'.repeat(32) } },
    });
    expect(verify(bundle)).toMatchObject({ ok: false, link: 'spec', where: 'summary' });
  });

  it('is refused when the summary is of another job than its spec names', async () => {
    const origin = { ...signed.summary.origin, id: 'job-2' };
    const bundle = await signed.remade({ summary: { job_id: 'job-2', origin } });
    expect(verify(bundle)).toMatchObject({ ok: false, link: 'spec', where: 'summary' });
  });

  it('is refused when the summary names two jobs', async () => {
    const bundle = await signed.remade({ summary: { job_id: 'job-2' } });
    expect(verify(bundle)).toMatchObject({ ok: false, link: 'summary', where: 'summary' });
  });
});

function swapReceipts(bundle: JobBundle): void {
  const [a, b] = bundle.executions;
  [a!.receipt, b!.receipt] = [b!.receipt, a!.receipt];
}
