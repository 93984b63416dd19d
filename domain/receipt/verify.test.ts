import { beforeAll, describe, expect, it } from 'vitest';
import { generateLogKey } from '../../attestation/keys/log-key.ts';
import { generateReceiptKey } from '../../attestation/keys/receipt-key.ts';
import { buildFirstKeyStart } from '../../attestation/receipt/build.ts';
import { signedJob, type SignedJob } from '../../test/support/signed-job.ts';
import { jobSpec, signedSpec } from '../../test/support/jobs.ts';
import { portableVerifiers } from '../crypto-portable.ts';
import { fromBase64, fromUtf8, toBase64, utf8 } from '../encoding.ts';
import { signCheckpoint } from '../log/checkpoint.ts';
import { parseTlogProof } from '../log/tlog-proof.ts';
import { formatVkey } from '../log/vkey.ts';
import { parseBundle, type ExecutionBundle, type JobBundle, type LogLink } from './bundle.ts';
import type { ExecutionReceipt } from './execution-receipt.ts';
import { specVerifier } from './spec-facts.ts';
import type { Link } from './verdict.ts';
import { verifyBundle, verifyBundleBytes } from './verify.ts';

let signed: SignedJob;
let strangerKey: { dsse: string; leaf: string };
beforeAll(async () => {
  signed = await signedJob();
  strangerKey = texts(await buildFirstKeyStart(generateReceiptKey()));
});

const copy = <T>(value: T): T => structuredClone(value);
const verify = (bundle: unknown) => verifyBundle(bundle, signed.trust, signed.tools);

/** Changes one character somewhere in the middle of base64 text, so that it stays base64. */
function turn(base64: string): string {
  const at = Math.floor(base64.length / 2);
  return `${base64.slice(0, at)}${base64[at] === 'A' ? 'B' : 'A'}${base64.slice(at + 1)}`;
}

/** Replaces what stands between two marks. */
function edit(text: string, pattern: RegExp, change: (found: string) => string): string {
  const changed = text.replace(pattern, (whole, found: string) => whole.replace(found, change(found)));
  if (changed === text) throw new Error(`nothing to change for ${String(pattern)}`);
  return changed;
}

const flipProofHash = (proof: string) => edit(proof, /\nindex \d+\n([^\n]+)\n/, turn);
const moveIndex = (proof: string) => edit(proof, /\nindex (\d+)\n/, (index) => String(Number(index) ^ 1));
const growCheckpoint = (proof: string) =>
  edit(proof, /\n\n[^\n]+\n(\d+)\n/, (size) => String(Number(size) + 1));
const flipRoot = (proof: string) => edit(proof, /\n\n[^\n]+\n\d+\n([^\n]+)\n/, turn);
const flipNote = (proof: string) => edit(proof, /— \S+ (\S+)\n/, turn);
const otherOrigin = (proof: string) => edit(proof, /\n\n([^\n]+)\n/, (origin) => `${origin}x`);
const flipPayload = (dsse: string) => edit(dsse, /"payload":"([^"]+)"/, turn);
const flipSignature = (dsse: string) => edit(dsse, /"sig":"([^"]+)"/, turn);

const link = (change: Partial<Record<keyof LogLink, (text: string) => string>>) => (target: LogLink) => {
  for (const [name, apply] of Object.entries(change)) {
    target[name as keyof LogLink] = apply(target[name as keyof LogLink]);
  }
};

const linkCases: [what: string, change: (target: LogLink) => void, broken: Link][] = [
  ['the payload of the envelope', link({ dsse: flipPayload }), 'dsse'],
  ['the signature of the envelope', link({ dsse: flipSignature }), 'dsse'],
  ['the payload type', link({ dsse: (text) => text.replace('in-toto+json', 'in-toto+jsom') }), 'dsse'],
  ['the key id', link({ dsse: (text) => edit(text, /"keyid":"([^"]+)"/, () => '0123456789abcdef') }), 'dsse'],
  ['the form of the envelope', link({ dsse: (text) => `${text} ` }), 'dsse'],
  ['the leaf', link({ leaf: (text) => edit(text, /"digest":"([^"]+)"/, turn) }), 'leaf'],
  ['the key in the leaf', link({ leaf: (text) => edit(text, /"rawBytes":"([^"]+)"/, turn) }), 'leaf'],
  ['a hash of the proof', link({ tlog_proof: flipProofHash }), 'proof'],
  ['the index', link({ tlog_proof: moveIndex }), 'proof'],
  ['the header of the proof', link({ tlog_proof: (text) => text.replace('@v1', '@v2') }), 'proof'],
  ['the size of the checkpoint', link({ tlog_proof: growCheckpoint }), 'checkpoint'],
  ['the root of the checkpoint', link({ tlog_proof: flipRoot }), 'checkpoint'],
  ['the signature of the checkpoint', link({ tlog_proof: flipNote }), 'checkpoint'],
  ['the origin of the checkpoint', link({ tlog_proof: otherOrigin }), 'checkpoint'],
];

const keyCases: typeof linkCases = linkCases.map(([what, change, broken]) => [
  `${what} (key entry)`,
  change,
  broken === 'checkpoint' ? 'checkpoint' : 'key',
]);
// Without a readable proof there is no checkpoint to look at: told as `proof`, at the key entry.
keyCases.find(([what]) => what.startsWith('the header'))![2] = 'proof';

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
        receiptKeyIds: [signed.receiptKey.id],
        executions: [{ executionId: signed.receipts[0]!.execution_id, logIndex: 1 }],
      });
    }
  });

  it('holds without its job spec, and says so', () => {
    const { spec: _spec, ...bundle } = signed.execution;
    expect(verify(bundle)).toMatchObject({
      ok: true,
      notes: expect.arrayContaining([expect.stringContaining('spec')]),
    });
  });

  it('survives being written to a file', () => {
    expect(verify(parseBundle(utf8(JSON.stringify(signed.execution, null, 2))))).toMatchObject({ ok: true });
  });

  it.each(linkCases)('with %s altered is refused by that name', (_what, change, broken) => {
    const bundle = copy(signed.execution);
    change(bundle);
    expect(verify(bundle)).toMatchObject({ ok: false, link: broken, where: 'receipt' });
  });

  it.each(keyCases)('with %s altered is refused by that name', (_what, change, broken) => {
    const bundle = copy(signed.execution);
    change(bundle.key_proof);
    expect(verify(bundle)).toMatchObject({ ok: false, link: broken, where: 'key_proof' });
  });

  const others: [string, (bundle: ExecutionBundle) => void, Link][] = [
    ['a byte of the job spec', (b) => (b.spec = alterSpec(b.spec!)), 'spec'],
    ['white space in the job spec', (b) => (b.spec = toBase64(utf8(`${specText(b.spec!)}\n`))), 'spec'],
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
    ['another receipt key', (b) => (b.key_proof.dsse = strangerKey.dsse), 'key'],
    ['a member too many', (b) => Object.assign(b, { more: 1 }), 'bundle'],
    ['a member missing', (b) => Reflect.deleteProperty(b, 'leaf'), 'bundle'],
    ['another media type', (b) => Object.assign(b, { media_type: 'application/json' }), 'bundle'],
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
    const { executions, key_proofs, spec } = await signed.remade({ receipts: [change(signed.receipts[0]!)] });
    const bundle = { ...signed.execution, ...executions[0]!, key_proof: key_proofs[0]! };
    expect(verify(bundle)).toMatchObject({ ok: false, link: 'spec', where: 'receipt' });
    expect(spec).toBe(signed.execution.spec);
  });

  it('is refused when its receipt key does not start the log', async () => {
    const { executions, key_proofs } = await signed.remade({ keySecond: true });
    const bundle = { ...signed.execution, ...executions[0]!, key_proof: key_proofs[0]! };
    expect(verify(bundle)).toMatchObject({ ok: false, link: 'key', where: 'key_proof' });
  });

  it('signed again by a key that is not in the log is refused for its key', async () => {
    const mine = generateReceiptKey();
    const bundle = {
      ...copy(signed.execution),
      key_proof: { ...signed.execution.key_proof, ...texts(await buildFirstKeyStart(mine)) },
    };
    const { payloadType, payload } = JSON.parse(bundle.dsse) as Record<string, string>;
    const pae = Buffer.concat([
      Buffer.from(`DSSEv1 ${payloadType!.length} ${payloadType} ${fromBase64(payload!)!.length} `),
      fromBase64(payload!)!,
    ]);
    const old = JSON.parse(bundle.dsse) as { signatures: { sig: string }[] };
    const sig = toBase64(await mine.sign(pae));
    const leaf = JSON.parse(bundle.leaf) as {
      spec: { hashedRekordV002: { signature: { verifier: { publicKey: { rawBytes: string } } } } };
    };
    bundle.leaf = bundle.leaf
      .replace(old.signatures[0]!.sig, sig)
      .replace(leaf.spec.hashedRekordV002.signature.verifier.publicKey.rawBytes, toBase64(mine.spki));
    bundle.dsse = bundle.dsse.replace(old.signatures[0]!.sig, sig).replace(signed.receiptKey.id, mine.id);
    // The forger cannot place the leaf: that is what the log is for.
    expect(verify(bundle)).toMatchObject({ ok: false, link: 'proof', where: 'receipt' });
  });

  it('is refused for its checkpoint under another log key, origin, or none', () => {
    const stranger = formatVkey(generateLogKey().signerFor('beacon.test/log'));
    const refused = { ok: false, link: 'checkpoint' };
    expect(verifyBundle(signed.execution, { vkeys: [stranger] }, signed.tools)).toMatchObject(refused);
    expect(verifyBundle(signed.execution, { vkeys: [] }, signed.tools)).toMatchObject(refused);
    expect(verifyBundle(signed.execution, { vkeys: ['x'] }, signed.tools)).toMatchObject(refused);
    expect(verifyBundle(signed.execution, { ...signed.trust, origin: 'other' }, signed.tools)).toMatchObject(
      refused,
    );
    const both = { vkeys: [stranger, ...signed.trust.vkeys], origin: 'beacon.test/log' };
    expect(verifyBundle(signed.execution, both, signed.tools)).toMatchObject({ ok: true });
  });

  it('is refused for its key when only other receipt keys are pinned', () => {
    const pinned = { ...signed.trust, receiptKeyIds: ['0123456789abcdef'] };
    expect(verifyBundle(signed.execution, pinned, signed.tools)).toMatchObject({ ok: false, link: 'key' });
    const right = { ...signed.trust, receiptKeyIds: [signed.receiptKey.id] };
    expect(verifyBundle(signed.execution, right, signed.tools)).toMatchObject({ ok: true });
  });

  it('is refused when its key entry stands under another checkpoint', async () => {
    const other = await signedJob();
    const trust = { vkeys: [...signed.trust.vkeys, ...other.trust.vkeys] };
    const bundle = { ...copy(signed.execution), key_proof: other.execution.key_proof };
    expect(verifyBundle(bundle, trust, signed.tools)).toMatchObject({ ok: false, link: 'dsse' });
    const mixed = { ...copy(signed.execution) };
    mixed.key_proof = { ...mixed.key_proof, tlog_proof: other.execution.key_proof.tlog_proof };
    expect(verifyBundle(mixed, trust, signed.tools)).toMatchObject({
      ok: false,
      link: 'checkpoint',
      where: 'key_proof',
    });
  });

  it.each([null, 1, 'text', [], {}, { media_type: 1 }])('is not %j', (value) => {
    expect(verify(value)).toMatchObject({ ok: false, link: 'bundle' });
  });
});

describe('a job bundle', () => {
  it('holds', () => {
    expect(verify(signed.job)).toMatchObject({
      ok: true,
      kind: 'job',
      outcome: 'completed',
      jobId: 'job-1',
      executions: [{ logIndex: 1 }, { logIndex: 2 }, { logIndex: 3 }],
    });
  });

  it.each(linkCases)('with %s of one execution altered is refused by that name', (_what, change, broken) => {
    const bundle = copy(signed.job);
    change(bundle.executions[2]!);
    expect(verify(bundle)).toMatchObject({ ok: false, link: broken, where: 'executions[2]' });
  });

  it.each(linkCases)('with %s of the summary altered is refused by that name', (_what, change, broken) => {
    const bundle = copy(signed.job);
    change(bundle.summary);
    expect(verify(bundle)).toMatchObject({ ok: false, link: broken, where: 'summary' });
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

  it('with the receipt of another job of the same key is refused for completeness', async () => {
    const [first, ...rest] = signed.receipts;
    const stray = { ...first!, execution_id: '0197a000-0000-7000-8000-0000000000ff' };
    const bundle = await signed.remade({ receipts: [first!, ...rest, stray] });
    const summary = await signed.remade({});
    expect(verify({ ...bundle, summary: summary.summary })).toMatchObject({
      ok: false,
      link: 'completeness',
    });
  });
});

describe('a job bundle that is signed and logged, but not true', () => {
  const lies: [string, (job: SignedJob) => Parameters<SignedJob['remade']>[0]][] = [
    ['plans fewer executions than the spec', (job) => ({ receipts: job.receipts.slice(0, 2) })],
    [
      'takes another success rule than the spec',
      () => ({ summary: { rule: { min_regions: 1, min_success_rate: 0.1 } } }),
    ],
    [
      'counts wrongly',
      (job) => ({ summary: { counts: { ...job.summary.counts, completed: 2, failed: 1 } } }),
    ],
    ['counts a wrong total', (job) => ({ summary: { counts: { ...job.summary.counts, total: 4 } } })],
    ['calls a met rule failed', () => ({ summary: { outcome: 'failed' } })],
    ['calls a whole job cancelled', () => ({ summary: { outcome: 'cancelled' } })],
    [
      'calls a missed rule completed',
      (job) => ({
        receipts: job.receipts.map((receipt, i) => (i === 0 ? receipt : { ...receipt, outcome: 'failed' })),
        summary: { counts: { total: 3, completed: 1, failed: 2, cancelled: 0, expired: 0 } },
      }),
    ],
    [
      'counts an execution for another region',
      (job) => ({ summary: { executions: job.summary.executions.map((one) => ({ ...one, region: 'ME' })) } }),
    ],
    [
      'states another outcome than the receipt',
      (job) => ({
        summary: {
          executions: job.summary.executions.map((one, i) => (i === 0 ? { ...one, outcome: 'failed' } : one)),
          counts: { total: 3, completed: 2, failed: 1, cancelled: 0, expired: 0 },
        },
      }),
    ],
    [
      'states a predecessor that the receipt does not',
      (job) => ({
        summary: {
          executions: job.summary.executions.map((one, i) =>
            i === 0 ? { ...one, follows: job.summary.executions[1]!.execution_id } : one,
          ),
        },
      }),
    ],
    [
      'lists an execution twice',
      (job) => ({
        summary: {
          executions: [...job.summary.executions, job.summary.executions[0]!],
          counts: { ...job.summary.counts, total: 4, completed: 4 },
        },
      }),
    ],
    [
      'answers one planned execution in the place of another',
      (job) => ({
        receipts: job.receipts.map((one, i) => (i === 2 ? { ...one, region: job.receipts[1]!.region } : one)),
      }),
    ],
    [
      'runs another image than the spec asks for',
      (job) => ({
        receipts: job.receipts.map((one, i) => (i === 0 ? { ...one, image_requested: 'builtin:sum' } : one)),
      }),
    ],
    [
      'gives another input than the spec names',
      (job) => ({
        receipts: job.receipts.map((one, i) => (i === 0 ? { ...one, input_sha256: '00'.repeat(32) } : one)),
      }),
    ],
    [
      'names a model that the spec does not',
      (job) => ({ receipts: job.receipts.map((one, i) => (i === 0 ? { ...one, model: 'other' } : one)) }),
    ],
    [
      'follows an execution with another question',
      (job) => ({
        receipts: [
          ...job.receipts,
          {
            ...job.receipts[0]!,
            execution_id: '0197a000-0000-7000-8000-0000000000aa',
            follows: job.receipts[0]!.execution_id,
            question: { index: 0, text: 'an easier one' },
          },
        ],
      }),
    ],
    [
      'holds executions that follow each other in a circle',
      (job) => {
        const circle = ['0197a000-0000-7000-8000-0000000000aa', '0197a000-0000-7000-8000-0000000000bb'];
        const receipts = circle.map((id, i) => ({
          ...job.receipts[0]!,
          execution_id: id,
          follows: circle[1 - i]!,
        }));
        return { receipts: [...job.receipts, ...receipts] };
      },
    ],
    [
      'calls a failed job expired though nothing expired',
      (job) => ({
        receipts: job.receipts.map((one) => ({ ...one, outcome: 'failed' as const })),
        summary: {
          outcome: 'expired',
          counts: { total: 3, completed: 0, failed: 3, cancelled: 0, expired: 0 },
        },
      }),
    ],
    [
      'ran another image in one region under the same name',
      (job) => ({
        receipts: job.receipts.map((receipt, i) =>
          i === 1 ? { ...receipt, image_executed: `sha256:${'cd'.repeat(32)}` } : receipt,
        ),
      }),
    ],
    [
      'follows an execution that is not there',
      (job) => ({
        receipts: job.receipts.map((receipt, i) => (i === 0 ? { ...receipt, follows: 'gone' } : receipt)),
      }),
    ],
  ];
  it.each(lies)('is refused when it %s', async (_what, change) => {
    expect(verify(await signed.remade(change(signed)))).toMatchObject({ ok: false, link: 'completeness' });
  });

  it.each([null, 'none: host userland'])('holds where %s ran in the place of the image', async (ran) => {
    const receipts = signed.receipts.map((receipt, i) =>
      i === 1 ? { ...receipt, image_executed: ran } : receipt,
    );
    expect(verify(await signed.remade({ receipts }))).toMatchObject({ ok: true });
  });

  it('is refused when a question was answered again and again in the place of another', async () => {
    const asked = await signedJob({ regions: ['US', 'EU'], questions: ['Who?', 'Where?'] });
    expect(verifyBundle(asked.job, asked.trust, asked.tools)).toMatchObject({ ok: true });
    const [usWho, , euWho] = asked.receipts;
    // Four executions in two regions, as the spec asks for; the second question never, the first four times.
    const receipts = [usWho!, usWho!, usWho!, euWho!].map((receipt, i) => ({
      ...receipt,
      execution_id: asked.receipts[i]!.execution_id,
    }));
    const verdict = verifyBundle(await asked.remade({ receipts }), asked.trust, asked.tools);
    expect(verdict).toMatchObject({ ok: false, link: 'completeness', where: 'executions[1]' });
  });

  it('is refused when its receipt key does not start the log', async () => {
    const bundle = await signed.remade({ keySecond: true });
    expect(verify(bundle)).toMatchObject({ ok: false, link: 'key', where: 'key_proofs[0]' });
  });

  it('is refused when an inline output is not that of its hash', async () => {
    const [first, ...rest] = signed.receipts;
    const other = { ...first!, output: { ...first!.output!, inline: 'something else' } };
    const bundle = await signed.remade({ receipts: [other, ...rest] });
    expect(verify(bundle)).toMatchObject({ ok: false, link: 'receipt', where: 'executions[0]' });
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

  it('holds when a failed execution was followed by one that completed', async () => {
    const [first, ...rest] = signed.receipts;
    const retried = {
      ...first!,
      execution_id: '0197a000-0000-7000-8000-0000000000aa',
      follows: first!.execution_id,
    };
    const receipts = [{ ...first!, outcome: 'failed' as const }, ...rest, retried];
    const counts = { total: 4, completed: 3, failed: 1, cancelled: 0, expired: 0 };
    expect(verify(await signed.remade({ receipts, summary: { counts } }))).toMatchObject({
      ok: true,
    });
  });

  it('is refused when its checkpoint is signed by a log that nobody trusts', async () => {
    const bundle = copy(signed.job);
    const forger = generateLogKey().signerFor('beacon.test/log');
    for (const entry of [bundle.summary, ...bundle.executions, ...bundle.key_proofs]) {
      const { checkpoint } = parseTlogProof(entry.tlog_proof);
      const [origin, size, root] = checkpoint.split('\n');
      const forged = await signCheckpoint({ origin: origin!, size: Number(size), root: fromBase64(root!)! }, [
        forger,
      ]);
      entry.tlog_proof = entry.tlog_proof.replace(checkpoint, forged);
    }
    expect(verify(bundle)).toMatchObject({ ok: false, link: 'checkpoint' });
  });
});

function specText(base64: string): string {
  return fromUtf8(fromBase64(base64)!)!;
}

function alterSpec(base64: string): string {
  return toBase64(utf8(specText(base64).replace('who are you?', 'who are you!')));
}

function swapReceipts(bundle: JobBundle): void {
  const [a, b] = bundle.executions;
  [a!.receipt, b!.receipt] = [b!.receipt, a!.receipt];
}

function texts({ dsse, leaf }: { dsse: Uint8Array; leaf: Uint8Array }) {
  return { dsse: fromUtf8(dsse)!, leaf: fromUtf8(leaf)! };
}

it('refuse a key that stands twice, which another reader could take the first of', () => {
  const bytes = (json: string) => new TextEncoder().encode(json);
  const text = JSON.stringify(signed.execution);
  expect(verifyBundleBytes(bytes(text), signed.trust, signed.tools)).toMatchObject({ ok: true });
  const twice = text.replace('{', '{"spec":"AA==",');
  expect(verifyBundleBytes(bytes(twice), signed.trust, signed.tools)).toMatchObject({
    ok: false,
    link: 'bundle',
  });
});
