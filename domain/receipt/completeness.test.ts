import { beforeAll, describe, expect, it } from 'vitest';
import { nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import { signedJob, type SignedJob } from '../../test/support/signed-job.ts';
import { TERMINAL_OUTCOMES } from '../states.ts';
import { verifyCompleteness } from './completeness.ts';
import type { ExecutionReceipt } from './execution-receipt.ts';
import type { JobSummary, SummaryExecution } from './job-summary.ts';
import { specVerifier } from './spec-facts.ts';
import { BrokenLink, type SpecFacts } from './verdict.ts';
import { verifyBundle } from './verify.ts';

/** What is told of a job: receipts, their summary, and what the client's spec asks for. */
interface Told {
  receipts: ExecutionReceipt[];
  summary: JobSummary;
  spec: SpecFacts;
}

interface Erased {
  execution_id: string;
  receiptSha256: string;
}

let signed: SignedJob;
let honest: Told;
beforeAll(async () => {
  signed = await signedJob();
  const spec = specVerifier(nodeVerifiers)(Buffer.from(signed.job.spec, 'base64'));
  honest = { receipts: signed.receipts, summary: signed.summary, spec };
});

const hashOf = ({ execution_id: id, outcome }: ExecutionReceipt) => `sha256 of ${id} ${outcome}`;

/** The same job with these receipts and a summary that agrees with them. */
function withReceipts(receipts: ExecutionReceipt[], outcome: JobSummary['outcome'] = 'completed'): Told {
  const number = (of: string) => receipts.filter((receipt) => receipt.outcome === of).length;
  const counts = Object.fromEntries(TERMINAL_OUTCOMES.map((of) => [of, number(of)]));
  const executions = receipts.map((receipt): SummaryExecution => ({
    execution_id: receipt.execution_id,
    outcome: receipt.outcome,
    receipt_sha256: hashOf(receipt),
    region: receipt.region?.fallback ?? receipt.region?.requested ?? null,
    ...(receipt.follows === undefined ? {} : { follows: receipt.follows }),
  }));
  const summary = { ...honest.summary, outcome, executions };
  return {
    ...honest,
    receipts,
    summary: { ...summary, counts: { ...summary.counts, ...counts, total: receipts.length } },
  };
}

/** Where the story breaks; undefined when it holds. */
function broken({ receipts, summary, spec }: Told, erased: readonly Erased[] = []): string | undefined {
  const found = receipts.map((receipt, i) => ({
    receipt,
    sha256: hashOf(receipt),
    where: `executions[${i}]`,
  }));
  try {
    verifyCompleteness(summary, found, spec, erased);
    return undefined;
  } catch (error) {
    if (!(error instanceof BrokenLink)) throw error;
    expect(error.code).toBe('completeness');
    return error.where;
  }
}

const ID = (n: number) => `0197a000-0000-7000-8000-0000000000a${n}`;
/** The honest receipts, the first one changed. */
const first = (change: Partial<ExecutionReceipt>): ExecutionReceipt[] =>
  honest.receipts.map((one, i) => (i === 0 ? { ...one, ...change } : one));
const ended = (...outcomes: ExecutionReceipt['outcome'][]): ExecutionReceipt[] =>
  honest.receipts.map((one, i) => ({ ...one, outcome: outcomes[i]! }));
/** Another try of `of`. */
const again = (
  of: ExecutionReceipt,
  n: number,
  change: Partial<ExecutionReceipt> = {},
): ExecutionReceipt => ({
  ...of,
  execution_id: ID(n),
  follows: of.execution_id,
  ...change,
});
/** The summary says something else than the receipts. */
const told = (change: (summary: JobSummary) => Partial<JobSummary>): Told => {
  const story = withReceipts(honest.receipts);
  return { ...story, summary: { ...story.summary, ...change(story.summary) } };
};
const toldOfFirst = (change: Partial<SummaryExecution>): Told =>
  told(({ executions: [one, ...rest] }) => ({ executions: [{ ...one!, ...change }, ...rest] }));

describe('the receipts of a job and its summary', () => {
  it.each<[string, () => Told]>([
    ['as they were', () => withReceipts(honest.receipts)],
    ['in any order', () => withReceipts([...honest.receipts].reverse())],
    ['where enough completed', () => withReceipts(ended('completed', 'completed', 'failed'))],
    ['where too few completed', () => withReceipts(ended('completed', 'failed', 'failed'), 'failed')],
    ['where time ran out', () => withReceipts(ended('completed', 'failed', 'expired'), 'expired')],
    [
      'where the client cancelled',
      () => withReceipts(ended('completed', 'completed', 'cancelled'), 'cancelled'),
    ],
    [
      'where the client cancelled too late',
      () => withReceipts(ended('completed', 'completed', 'failed'), 'cancelled'),
    ],
    [
      'where a failed execution was followed by one that completed',
      () => withReceipts([...first({ outcome: 'failed' }), again(honest.receipts[0]!, 1)]),
    ],
    [
      'where a follower was followed',
      () =>
        withReceipts([
          ...first({ outcome: 'failed' }),
          again(honest.receipts[0]!, 1, { outcome: 'failed' }),
          again(honest.receipts[0]!, 2, { follows: ID(1) }),
        ]),
    ],
    [
      'where an execution ran in a fallback region',
      () => withReceipts(first({ region: { ...honest.receipts[0]!.region!, fallback: 'CA' } })),
    ],
    ...[null, 'none: host userland'].map((ran): [string, () => Told] => [
      `where ${ran} ran in the place of the image`,
      () => withReceipts(first({ image_executed: ran })),
    ]),
    [
      'where an execution that failed is counted for no region',
      () => {
        const story = withReceipts(ended('failed', 'completed', 'completed'));
        story.summary.executions[0]!.region = null;
        return story;
      },
    ],
  ])('agree %s', (_what, story) => {
    expect(broken(story())).toBeUndefined();
  });

  it.each<[string, () => Told, string]>([
    [
      'miss one',
      () => ({ ...honest, ...told(() => ({})), receipts: honest.receipts.slice(1) }),
      'executions',
    ],
    [
      'hold one that is not listed',
      () => ({ ...told(() => ({})), receipts: [...honest.receipts, again(honest.receipts[0]!, 1)] }),
      'executions[3]',
    ],
    [
      'hold one twice',
      () => ({ ...told(() => ({})), receipts: [...honest.receipts, honest.receipts[1]!] }),
      'executions[3]',
    ],
    [
      'list one twice',
      () =>
        told(({ executions, counts }) => ({
          executions: [...executions, executions[0]!],
          counts: { ...counts, total: 4, completed: 4 },
        })),
      'summary',
    ],
    ['name another receipt', () => toldOfFirst({ receipt_sha256: '00' }), 'executions[0]'],
    ['state another outcome', () => toldOfFirst({ outcome: 'failed' }), 'executions[0]'],
    ['state a predecessor', () => toldOfFirst({ follows: ID(1) }), 'executions[0]'],
    ['count it for another region', () => toldOfFirst({ region: 'ME' }), 'executions[0]'],
    ['count it for no region', () => toldOfFirst({ region: null }), 'executions[0]'],
    [
      'are of another kind of work',
      () => withReceipts(first({ origin: { ...honest.summary.origin, kind: 'task' } })),
      'executions[0]',
    ],
    [
      'are of another job',
      () => withReceipts(first({ origin: { ...honest.summary.origin, id: 'job-2' } })),
      'executions[0]',
    ],
    [
      'are of another spec',
      () => withReceipts(first({ origin: { ...honest.summary.origin, spec_sha256: '00' } })),
      'executions[0]',
    ],
    [
      'ran another image under the same name',
      () => withReceipts(first({ image_executed: `sha256:${'cd'.repeat(32)}` })),
      'executions[1]',
    ],
    ['count a wrong total', () => told(({ counts }) => ({ counts: { ...counts, total: 4 } })), 'summary'],
    ...TERMINAL_OUTCOMES.map((outcome): [string, () => Told, string] => [
      `count ${outcome} wrongly`,
      () => told(({ counts }) => ({ counts: { ...counts, [outcome]: counts[outcome] + 1 } })),
      'summary',
    ]),
  ])('do not agree when they %s', (_what, story, where) => {
    expect(broken(story())).toBe(where);
  });
});

describe('the executions that a job spec asks for', () => {
  const third = (change: Partial<ExecutionReceipt>) =>
    honest.receipts.map((one, i) => (i === 2 ? { ...one, ...change } : one));
  it.each<[string, () => ExecutionReceipt[], string]>([
    ['one is not planned', () => honest.receipts.slice(0, 2), 'executions'],
    [
      'one stands in the place of another',
      () => third({ region: honest.receipts[1]!.region }),
      'executions[2]',
    ],
    ['one is of another image', () => first({ image_requested: 'builtin:sum' }), 'executions[0]'],
    ['one is of another input', () => first({ input_sha256: '00'.repeat(32) }), 'executions[0]'],
    ['one is of another model', () => first({ model: 'other' }), 'executions[0]'],
    ['one is of another question', () => first({ question: { index: 0, text: 'other' } }), 'executions[0]'],
    ['one follows what is not there', () => first({ follows: ID(9) }), 'executions[0]'],
    [
      'one follows what was asked something else',
      () => [
        ...honest.receipts,
        again(honest.receipts[0]!, 1, { question: { index: 0, text: 'an easier one' } }),
      ],
      'executions[3]',
    ],
    [
      'two follow the same',
      () => [...honest.receipts, again(honest.receipts[0]!, 1), again(honest.receipts[0]!, 2)],
      'summary',
    ],
    [
      'two follow each other',
      () => [
        ...honest.receipts,
        again(honest.receipts[0]!, 1, { follows: ID(2) }),
        again(honest.receipts[0]!, 2, { follows: ID(1) }),
      ],
      'summary',
    ],
  ])('are not answered when %s', (_what, receipts, where) => {
    expect(broken(withReceipts(receipts()))).toBe(where);
  });

  it('are not answered by one that is answered again and again in the place of another', async () => {
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

  it('may run as many images as they name', () => {
    const one = honest.spec.planned[0]!;
    const spec = {
      ...honest.spec,
      planned: [{ ...one, image: 'builtin:sum' }, ...honest.spec.planned.slice(1)],
    };
    const ran = { image_requested: 'builtin:sum', image_executed: `sha256:${'cd'.repeat(32)}` };
    expect(broken({ ...withReceipts(first(ran)), spec })).toBeUndefined();
  });

  it('are asked for as often as the spec says it', () => {
    const spec = { ...honest.spec, planned: [...honest.spec.planned, honest.spec.planned[0]!] };
    const twice = [...honest.receipts, { ...honest.receipts[0]!, execution_id: ID(1) }];
    expect(broken({ ...withReceipts(twice), spec })).toBeUndefined();
    expect(broken({ ...withReceipts(honest.receipts), spec })).toBe('executions');
  });
});

describe('a job of which executions were erased', () => {
  const without = (story: Told, ...gone: ExecutionReceipt[]): Told => ({
    ...story,
    receipts: story.receipts.filter((receipt) => !gone.includes(receipt)),
  });
  const proofOf = (receipt: ExecutionReceipt): Erased => ({
    execution_id: receipt.execution_id,
    receiptSha256: hashOf(receipt),
  });
  const whole = () => withReceipts(honest.receipts);
  /** The first execution failed and was tried again. */
  const retried = () => withReceipts([...first({ outcome: 'failed' }), again(honest.receipts[0]!, 1)]);

  it.each<[string, () => Told, gone: number[]]>([
    ['one', whole, [0]],
    ['some', whole, [0, 2]],
    ['all', whole, [0, 1, 2]],
    ['one that another follows', retried, [0]],
    ['one that follows another', retried, [3]],
    ['one and its follower', retried, [0, 3]],
  ])('holds without %s', (_what, told_, gone) => {
    const story = told_();
    const erased = gone.map((index) => story.receipts[index]!);
    expect(broken(without(story, ...erased), erased.map(proofOf))).toBeUndefined();
    expect(broken(without(story, ...erased), erased.slice(1).map(proofOf))).toBe('executions');
  });

  it('does not hold with a proof of one that is not listed, twice, still there, or had another receipt', () => {
    const story = whole();
    const [one, two] = story.receipts as [ExecutionReceipt, ExecutionReceipt];
    const rest = without(story, one);
    expect(broken(rest, [proofOf(one), { ...proofOf(two), execution_id: ID(1) }])).toBe('erased[1]');
    expect(broken(rest, [proofOf(one), proofOf(one)])).toBe('erased[1]');
    expect(broken(rest, [proofOf(one), proofOf(two)])).toBe('erased[1]');
    expect(broken(rest, [{ ...proofOf(one), receiptSha256: hashOf(two) }])).toBe('erased[0]');
  });

  it('does not hold where more is missing than was erased', () => {
    const story = withReceipts(honest.receipts.slice(0, 2));
    const [one] = story.receipts as [ExecutionReceipt];
    expect(broken(without(story, one), [proofOf(one)])).toBe('executions');
  });

  it('does not let an erased follower stand for what the spec asks for', () => {
    const last = again(honest.receipts[0]!, 1);
    const story = withReceipts([...honest.receipts.slice(0, 2), last]);
    expect(broken(without(story, last), [proofOf(last)])).toBe('executions');
  });
});

describe('the outcome of a job', () => {
  it.each<[string, () => Told]>([
    ['failed, though the rule is met', () => withReceipts(honest.receipts, 'failed')],
    ['cancelled, though everything completed', () => withReceipts(honest.receipts, 'cancelled')],
    ['completed, though the rule is not met', () => withReceipts(ended('completed', 'failed', 'failed'))],
    ['expired, though nothing expired', () => withReceipts(ended('failed', 'failed', 'failed'), 'expired')],
    [
      'completed by what was given up for another try',
      () =>
        withReceipts([
          ...ended('completed', 'completed', 'failed'),
          again(honest.receipts[0]!, 1, { outcome: 'failed' }),
        ]),
    ],
    ['of another rule on regions', () => told(({ rule }) => ({ rule: { ...rule, min_regions: 1 } }))],
    ['of another rate', () => told(({ rule }) => ({ rule: { ...rule, min_success_rate: 0.1 } }))],
  ])('is not %s', (_what, story) => {
    expect(broken(story())).toBe('summary');
  });

  it('is judged in a whole bundle', async () => {
    const refused = { ok: false, link: 'completeness' };
    const verify = (bundle: unknown) => verifyBundle(bundle, signed.trust, signed.tools);
    expect(verify(await signed.remade({ summary: { outcome: 'failed' } }))).toMatchObject(refused);
    expect(verify(await signed.remade({ receipts: signed.receipts.slice(0, 2) }))).toMatchObject(refused);
    const stray = { ...signed.receipts[0]!, execution_id: ID(1) };
    const bundle = await signed.remade({ receipts: [...signed.receipts, stray] });
    const { summary } = await signed.remade({});
    expect(verify({ ...bundle, summary })).toMatchObject(refused);
  });
});
