import { createHash, randomBytes } from 'node:crypto';
import { canonicalJson } from '../domain/json/jcs.ts';
import { add } from '../domain/money/decimal.ts';
import type {
  ExecutionReceipt,
  Origin,
  ReceiptCost,
  ReceiptOutput,
} from '../domain/receipt/execution-receipt.ts';
import { EXECUTION_RECEIPT } from '../domain/receipt/execution-receipt.ts';
import { JOB_SUMMARY, type JobSummary } from '../domain/receipt/job-summary.ts';
import { cidOfDigest } from '../domain/receipt/cid.ts';
import { LIMITS } from '../domain/limits.ts';
import type { TerminalOutcome } from '../domain/states.ts';
import type { AttestedAttempt, AttestedExecution, AttestedJob } from '../store/attest-reads.ts';
import type { EndedExecution } from '../store/job-end.ts';
import type { Decision } from './outcome.ts';
import type { AttemptOutcome } from './stage-outcome.ts';
import type { Asked } from './asked.ts';

const salt = (): string => randomBytes(32).toString('hex');

export interface Software {
  name: string;
  version: string;
}

function origin(job: AttestedJob): Origin {
  return {
    kind: 'job',
    id: job.id,
    spec_sha256: job.specSha256.toString('hex'),
    form: job.form,
    public_key: job.owner,
  };
}

export interface ExecutionFacts {
  job: AttestedJob;
  asked: Asked;
  execution: AttestedExecution;
  decision: Decision;
  /** Output bytes, when they are small enough to stand in the receipt. */
  inlineOutput: Uint8Array | undefined;
  endedAt: Date;
  software: Software;
}

/** The receipt of an ended execution, from stored values only. */
export function describeExecution(facts: ExecutionFacts): ExecutionReceipt {
  const { job, asked, execution, decision, software } = facts;
  const { attempt } = decision;
  const outcome = attempt?.outcome as AttemptOutcome | null | undefined;
  return {
    type: EXECUTION_RECEIPT,
    execution_id: execution.id,
    origin: origin(job),
    ...(execution.follows === null ? {} : { follows: execution.follows }),
    ...(execution.model === null ? {} : { model: execution.model }),
    ...(execution.question === null || execution.question_index === null
      ? {}
      : { question: { index: execution.question_index, text: execution.question } }),
    outcome: decision.outcome,
    ...(decision.failure === null ? {} : { failure: decision.failure }),
    backend: attempt?.backend ?? null,
    region: region(execution, attempt?.region ?? null, outcome),
    provider: outcome?.placement.provider ?? null,
    image_requested: asked.image(execution.model),
    image_executed: outcome?.imageExecuted ?? null,
    isolation: outcome?.isolation ?? null,
    attempts: execution.attempts.map((one) => ({
      attempt: one.attempt,
      // An attempt that the end of its execution cuts off is lost: `attest` fences it in the same transaction.
      state: ['intended', 'active', 'uncertain'].includes(one.state) ? 'lost' : one.state,
      backend: one.backend,
      provider: (one.outcome as AttemptOutcome | null)?.placement.provider ?? null,
      region: one.region,
      ...(one.failure === null ? {} : { failure: one.failure }),
      started_at: (one.outcome as AttemptOutcome | null)?.startedAt ?? null,
      ended_at: one.ended_at === null ? null : new Date(one.ended_at).toISOString(),
      duration_ms: one.duration_ms,
      ...costOf([one]),
    })),
    started_at: outcome?.startedAt ?? null,
    duration_ms: outcome?.durationMs ?? null,
    input_sha256: asked.inputSha256(execution.model, execution.question),
    output: output(outcome?.output ?? null, facts.inlineOutput),
    files:
      attempt === null
        ? []
        : execution.files
            .filter((file) => file.attempt === attempt.attempt)
            .map(({ name, size, mime, sha256, cid }) => ({ name, size, mime, sha256, cid })),
    ...costOf(execution.attempts),
    limits: outcome?.limits ?? {},
    ended_at: facts.endedAt.toISOString(),
    salt: salt(),
    software,
  };
}

function region(
  execution: AttestedExecution,
  ran: string | null,
  outcome: AttemptOutcome | null | undefined,
): ExecutionReceipt['region'] {
  if (execution.region === null) return null;
  const evidence = outcome?.placement.region;
  return {
    requested: execution.region,
    ...(ran === null || ran === execution.region ? {} : { fallback: ran }),
    claimed: evidence?.claimed ?? null,
    observed: evidence?.observed ?? null,
    verified: evidence?.verified ?? false,
    method: evidence?.method ?? 'none',
    ...(evidence?.evidence === undefined ? {} : hashed(evidence.evidence)),
  };
}

/** What attempts cost together; nothing where no place asked for money. */
function costOf(attempts: readonly Pick<AttestedAttempt, 'cost'>[]): { cost?: ReceiptCost } {
  const costs = attempts.flatMap(({ cost }) => cost ?? []);
  if (costs.length === 0) return {};
  const known = costs.flatMap(({ accepted }) => accepted ?? []);
  return {
    cost: {
      // One stack pays on one platform; a change of it between attempts shows by both names.
      platform: [...new Set(costs.map(({ platform }) => platform))].join(' '),
      cap: add(...costs.map(({ cap }) => cap)),
      ...(known.length === 0 ? {} : { accepted: add(...known) }),
      state: known.length === costs.length ? 'accepted' : 'unknown',
    },
  };
}

function hashed(evidence: object) {
  const sha256 = createHash('sha256').update(canonicalJson(evidence)).digest('hex');
  return { evidence: evidence as Record<string, unknown>, evidence_sha256: sha256 };
}

function output(
  stored: { sha256: string; size: number } | null,
  inline: Uint8Array | undefined,
): ReceiptOutput | null {
  if (stored === null) return null;
  const cid =
    stored.size <= LIMITS.blobPartBytes ? { cid: cidOfDigest(Buffer.from(stored.sha256, 'hex')) } : {};
  const text = inline === undefined ? undefined : asText(inline);
  return {
    sha256: stored.sha256,
    size: stored.size,
    ...cid,
    ...(text === undefined ? {} : { inline: text }),
  };
}

/** Undefined unless the bytes are exactly the UTF-8 of a text. */
function asText(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

export interface JobFacts {
  job: AttestedJob;
  outcome: TerminalOutcome;
  ended: readonly EndedExecution[];
  manifestCid: string;
  endedAt: Date;
  software: Software;
}

/** The summary of an ended job: every execution with the hash of its receipt. */
export function describeJob({ job, outcome, ended, manifestCid, endedAt, software }: JobFacts): JobSummary {
  const counts = { total: ended.length, completed: 0, failed: 0, cancelled: 0, expired: 0 };
  for (const one of ended) counts[one.outcome]++;
  return {
    type: JOB_SUMMARY,
    job_id: job.id,
    version: 1,
    origin: origin(job),
    outcome,
    rule: { min_regions: job.plan.min_regions, min_success_rate: job.plan.min_success_rate },
    counts,
    executions: ended.map((one) => ({
      execution_id: one.id,
      outcome: one.outcome,
      receipt_sha256: one.receiptSha256,
      region: one.regionRan,
      ...(one.follows === null ? {} : { follows: one.follows }),
    })),
    manifest_cid: manifestCid,
    ended_at: endedAt.toISOString(),
    salt: salt(),
    software,
  };
}
