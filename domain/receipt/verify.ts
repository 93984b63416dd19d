import type { Verifiers } from '../crypto.ts';
import { toHex, utf8 } from '../encoding.ts';
import { canonicalJson } from '../json/jcs.ts';
import {
  EXECUTION_BUNDLE,
  JOB_BUNDLE,
  parseBundle,
  readBundle,
  type Bundle,
  type ErasureBundle,
  type ExecutionBundle,
  type JobBundle,
  type LogLink,
} from './bundle.ts';
import { cidOfDigest, digestOfCid } from './cid.ts';
import { verifyCompleteness, type FoundReceipt } from './completeness.ts';
import { verifyErasure, type FoundErasure } from './erasure.ts';
import { parseExecutionReceipt, type ReceiptRegion } from './execution-receipt.ts';
import { parseJobSummary } from './job-summary.ts';
import { verifyKeyChain, type ReceiptKey } from './key-entry.ts';
import { describeRow, rowKey, rowOf } from './planned-row.ts';
import { receiptStatement, summaryStatement } from './statement.ts';
import type { ReceiptLink } from './bundle.ts';
import {
  BrokenLink,
  demand,
  within,
  type Accepted,
  type ErasedExecution,
  type Trust,
  type Verdict,
} from './verdict.ts';
import { LogCheck } from './verify-log.ts';
import { NOT_CHECKED_FOR_RETIREMENT } from './verify-retirement.ts';
import { verifySigned } from './verify-signed.ts';
import { checkSpec, demandSpec, type VerifyTools } from './verify-spec.ts';

/**
 * Checks a bundle offline, link by link, and names the first that is broken. The order is such that each altered piece
 * is told by its own name: first what carries its own signature (spec, key entries), then each document with its envelope,
 * statement and leaf, for a job its completeness, then the checkpoint, and last that every leaf and key stand in it.
 */
export type { VerifyTools };

const FOLLOWS = 'this log follows';
const WITHOUT_SPEC = 'no job spec in the bundle: its signature was not checked';

/** Checks a bundle file, byte for byte as somebody hands it over. Never throws on account of its input. */
export function verifyBundleBytes(bytes: Uint8Array, trust: Trust, tools: VerifyTools): Verdict {
  return verdict(() => parseBundle(bytes), trust, tools);
}

/** The same for what `readBundle` takes: the parsed JSON of a bundle. */
export function verifyBundle(bundle: unknown, trust: Trust, tools: VerifyTools): Verdict {
  return verdict(() => readBundle(bundle), trust, tools);
}

function verdict(reading: () => Bundle, trust: Trust, tools: VerifyTools): Verdict {
  try {
    const read = within('bundle', '', reading);
    if (read.media_type === EXECUTION_BUNDLE) return checkExecution(read, trust, tools);
    return read.media_type === JOB_BUNDLE ? checkJob(read, trust, tools) : checkErased(read, trust, tools);
  } catch (error) {
    if (!(error instanceof BrokenLink)) throw error;
    return { ok: false, link: error.code, where: error.where, reason: error.message };
  }
}

type Placed = readonly [entry: LogLink, where: string];

/** The starts of the keys that vouch for the one that signed, from the log's first one on, and its own. */
function chainOf(bundle: ExecutionBundle | ErasureBundle): Placed[] {
  demand(bundle.key_chain?.length !== 0, 'bundle', 'key_chain', 'a chain without keys is left out');
  return [
    ...(bundle.key_chain ?? []).map((entry, i): Placed => [entry, `key_chain[${i}]`]),
    [bundle.key_proof, 'key_proof'],
  ];
}

function checkErased(bundle: ErasureBundle, trust: Trust, { verifiers }: VerifyTools): Accepted {
  const chain = chainOf(bundle);
  const keys = [...verifyKeyChain(chain, verifiers).values()];
  const key = keys.at(-1)!;
  demandPinned(key.id, trust, 'key_proof');
  const found = verifyErasure(bundle.erasure, new Map([[key.id, key]]), verifiers, 'erasure');
  const log = new LogCheck(trust, verifiers);
  const [logIndex] = checkInLog(log, [[bundle.erasure, 'erasure', key.id]], chain, [key.id]);
  return {
    ok: true,
    kind: 'erased',
    ...logFacts(log),
    outcome: 'erased',
    ...(found.job_id === undefined ? {} : { jobId: found.job_id }),
    receiptKeyIds: [key.id],
    executions: [],
    erased: [erasedExecution(found, logIndex!)],
    notes: [...continuedNotes(keys), NOT_CHECKED_FOR_RETIREMENT],
  };
}

function erasedExecution(found: FoundErasure, logIndex: number): ErasedExecution {
  return {
    executionId: found.execution_id,
    receiptCid: found.receipt_cid,
    reason: found.reason,
    erasedAt: found.erased_at,
    logIndex,
    keyId: found.keyId,
  };
}

/** An erasure in a log that follows the closed one of the job: nobody could put it there any more. */
function checkErasedLater(
  bundle: ErasureBundle,
  jobId: string,
  where: string,
  trust: Trust,
  tools: VerifyTools,
): ErasedExecution {
  const found = checkErased(bundle, trustOfAnyLog(trust), tools);
  const follows = found.notes.some((note) => note.startsWith(FOLLOWS));
  demand(follows, 'key', where, 'the log of the erasure follows no other');
  demand(found.jobId === jobId, 'completeness', where, 'the erasure is of another job');
  return { ...found.erased![0]!, origin: found.origin };
}

function trustOfAnyLog({ vkeys, receiptKeyIds }: Trust): Trust {
  return { vkeys, ...(receiptKeyIds === undefined ? {} : { receiptKeyIds }) };
}

function checkExecution(bundle: ExecutionBundle, trust: Trust, tools: VerifyTools): Verdict {
  const { verifiers } = tools;
  const spec = bundle.spec === undefined ? undefined : checkSpec(bundle.spec, bundle.receipt, tools);
  const chain = chainOf(bundle);
  const key = [...verifyKeyChain(chain, verifiers).values()].at(-1)!;
  demandPinned(key.id, trust, 'key_proof');
  const { receipt, digest, keyId } = checkReceipt(bundle, new Map([[key.id, key]]), verifiers, 'receipt');
  if (spec !== undefined) {
    demandSpec(receipt.origin, spec, 'receipt');
    const row = rowOf(receipt);
    const asked = spec.facts.planned.some((planned) => rowKey(planned) === rowKey(row));
    demand(asked, 'spec', 'receipt', `the job spec asks for no such execution (${describeRow(row)})`);
  }

  const log = new LogCheck(trust, verifiers);
  const [logIndex] = checkInLog(log, [[bundle, 'receipt', keyId]], chain, [key.id]);
  const { execution_id: executionId, outcome, origin } = receipt;
  return {
    ok: true,
    kind: 'execution',
    ...logFacts(log),
    outcome,
    ...(origin.kind === 'job' ? { jobId: origin.id } : {}),
    ...(spec === undefined ? {} : { specForm: spec.facts.form }),
    receiptKeyIds: [key.id],
    executions: [{ executionId, outcome, receiptCid: cidOfDigest(digest), logIndex: logIndex!, keyId }],
    notes: [
      ...continuedNotes([key]),
      NOT_CHECKED_FOR_RETIREMENT,
      ...(spec === undefined ? [WITHOUT_SPEC] : []),
    ],
  };
}

function checkJob(bundle: JobBundle, trust: Trust, tools: VerifyTools): Verdict {
  const { verifiers } = tools;
  const spec = checkSpec(bundle.spec, bundle.summary.summary, tools);
  const chain = bundle.key_proofs.map((entry, i): Placed => [entry, `key_proofs[${i}]`]);
  const keys = verifyKeyChain(chain, verifiers);
  const bytes = utf8(bundle.summary.summary);
  const summary = within('summary', 'summary', () => parseJobSummary(bytes));
  const statement = (digest: Uint8Array) => summaryStatement(summary, digest);
  const { digest, keyId } = verifySigned(
    { bytes, kind: 'summary', statement },
    bundle.summary,
    keys,
    verifiers,
    'summary',
  );
  demandSpec(summary.origin, spec, 'summary');
  demand(summary.origin.id === summary.job_id, 'summary', 'summary', 'the summary is of two jobs');

  const receipts = bundle.executions.map((entry, i) =>
    checkReceipt(entry, keys, verifiers, `executions[${i}]`),
  );
  demand(bundle.erased?.length !== 0, 'bundle', 'erased', 'a list without erasures is left out');
  const gone = (bundle.erased ?? []).map((entry, i) => {
    const found = verifyErasure(entry, keys, verifiers, `erased[${i}]`);
    demand(found.job_id === summary.job_id, 'completeness', `erased[${i}]`, 'the erasure is of another job');
    return found;
  });
  demand(bundle.erased_later?.length !== 0, 'bundle', 'erased_later', 'a list without erasures is left out');
  const later = (bundle.erased_later ?? []).map((entry, i) =>
    checkErasedLater(entry, summary.job_id, `erased_later[${i}]`, trust, tools),
  );
  verifyCompleteness(summary, receipts, spec.facts, [
    ...gone,
    ...later.map(({ executionId, receiptCid }) => ({
      execution_id: executionId,
      receiptSha256: toHex(digestOfCid(receiptCid)),
    })),
  ]);
  const signers = new Set([keyId, ...[...receipts, ...gone].map((one) => one.keyId)]);
  const used = [...keys.keys()].filter((id) => signers.has(id));
  for (const id of used) demandPinned(id, trust, 'key_proofs');
  demand(used.at(-1) === [...keys.keys()].at(-1), 'key', 'key_proofs', 'the last key signed nothing here');

  const log = new LogCheck(trust, verifiers);
  const entries = [
    [bundle.summary, 'summary', keyId] as const,
    ...bundle.executions.map((entry, i) => [entry, `executions[${i}]`, receipts[i]!.keyId] as const),
    ...(bundle.erased ?? []).map((entry, i) => [entry, `erased[${i}]`, gone[i]!.keyId] as const),
  ];
  const [summaryIndex, ...indexes] = checkInLog(log, entries, chain, [...keys.keys()]);
  return {
    ok: true,
    kind: 'job',
    ...logFacts(log),
    outcome: summary.outcome,
    jobId: summary.job_id,
    summary: { cid: cidOfDigest(digest), logIndex: summaryIndex!, keyId },
    specForm: spec.facts.form,
    receiptKeyIds: used,
    executions: receipts.map((one, i) => ({
      executionId: one.receipt.execution_id,
      outcome: one.receipt.outcome,
      receiptCid: cidOfDigest(one.digest),
      logIndex: indexes[i]!,
      keyId: one.keyId,
    })),
    ...(gone.length + later.length === 0
      ? {}
      : { erased: [...gone.map((one, i) => erasedExecution(one, indexes[receipts.length + i]!)), ...later] }),
    notes: [...continuedNotes([...keys.values()]), NOT_CHECKED_FOR_RETIREMENT],
  };
}

/** All entries of a bundle under its one checkpoint; answers the indexes of the documents. */
function checkInLog(
  log: LogCheck,
  documents: readonly (readonly [entry: LogLink, where: string, keyId: string])[],
  chain: readonly Placed[],
  keyIds: readonly string[],
): number[] {
  for (const [entry, where] of [...documents, ...chain]) log.verifyCheckpoint(entry, where);
  const indexes = documents.map(([entry, where]) => log.verifyInclusion(entry, 'proof', where));
  const starts = log.verifyKeyStarts(chain);
  const startOf = new Map(keyIds.map((id, i) => [id, starts[starts.length - keyIds.length + i]!]));
  for (const [i, [, where, keyId]] of documents.entries()) {
    const after = indexes[i]! > startOf.get(keyId)!;
    demand(after, 'key', where, `signed by the receipt key ${keyId} before it started in the log`);
  }
  return indexes;
}

function demandPinned(id: string, trust: Trust, where: string): void {
  const pinned = trust.receiptKeyIds?.includes(id) ?? true;
  demand(pinned, 'key', where, `receipt key ${id} is not one of those trusted`);
}

function continuedNotes(keys: readonly ReceiptKey[]): string[] {
  return keys.flatMap(({ continues }) =>
    continues === undefined
      ? []
      : [`${FOLLOWS} ${continues.origin}, which was closed at ${continues.size} entries`],
  );
}

function checkReceipt(
  entry: ReceiptLink,
  keys: ReadonlyMap<string, ReceiptKey>,
  verifiers: Verifiers,
  where: string,
): FoundReceipt & { digest: Uint8Array; keyId: string } {
  const bytes = utf8(entry.receipt);
  const receipt = within('receipt', where, () => parseExecutionReceipt(bytes));
  const statement = (digest: Uint8Array) => receiptStatement(receipt, digest);
  const { digest, keyId } = verifySigned(
    { bytes, kind: 'receipt', statement },
    entry,
    keys,
    verifiers,
    where,
  );
  demandRegion(receipt.region, verifiers, where);
  const { output } = receipt;
  if (output?.inline !== undefined) {
    const inline = utf8(output.inline);
    const same = inline.length === output.size && toHex(verifiers.sha256(inline)) === output.sha256;
    demand(same, 'receipt', where, 'the output in the receipt is not the one of its hash');
  }
  return { receipt, digest, keyId, sha256: toHex(digest), where };
}

/** `verified` says exactly that what was observed is where it was to run, and evidence is what its hash names. */
function demandRegion(region: ReceiptRegion | null, { sha256 }: Verifiers, where: string): void {
  if (region === null) return;
  const meant = region.fallback ?? region.requested;
  const sound =
    !region.verified || (region.observed !== null && region.observed === meant && region.method !== 'none');
  demand(sound, 'receipt', where, 'says that the region is verified, and does not observe it');
  if (region.evidence === undefined) return;
  const hash = toHex(sha256(utf8(canonicalJson(region.evidence))));
  demand(hash === region.evidence_sha256, 'receipt', where, 'the evidence of the region has another hash');
}

function logFacts(log: LogCheck) {
  const { origin, size, root } = log.checkpoint;
  return { origin, treeSize: size, root: toHex(root) };
}
