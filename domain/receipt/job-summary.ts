import type { Failure } from '../failure.ts';
import { TERMINAL_OUTCOMES, type TerminalOutcome } from '../states.ts';
import { readDocument } from './document.ts';
import { failureShape, originShape, softwareShape, type Origin } from './execution-receipt.ts';
import { amount, count, list, nullable, object, oneOf, optional, sha256Hex, text, time } from './shape.ts';

export const JOB_SUMMARY = 'job-summary/v1';

/** The rule that the job's plan froze (domain/jobspec/success.ts). */
export interface SummaryRule {
  min_regions: number;
  min_success_rate: number;
}

export interface SummaryExecution {
  execution_id: string;
  outcome: TerminalOutcome;
  receipt_sha256: string;
  /** Where it ran, as the success rule counts it; null when it never did. */
  region: string | null;
  follows?: string;
}

/**
 * What a job came to, logged when it ends: it lists every execution with the hash of its receipt, so that nobody can run
 * again until he likes the answers and leave the others out.
 */
export interface JobSummary {
  type: typeof JOB_SUMMARY;
  job_id: string;
  /** Rises when an ended job is amended. */
  version: number;
  origin: Origin;
  outcome: TerminalOutcome;
  failure?: Failure;
  rule: SummaryRule;
  /** All executions listed, those that were followed included. */
  counts: { total: number } & Record<TerminalOutcome, number>;
  executions: SummaryExecution[];
  manifest_cid: string;
  ended_at: string;
  salt: string;
  software: { name: string; version: string };
}

const summaryShape = object<JobSummary>({
  type: oneOf(JOB_SUMMARY),
  job_id: text,
  version: count,
  origin: originShape,
  outcome: oneOf(...TERMINAL_OUTCOMES),
  failure: optional(failureShape),
  rule: object<SummaryRule>({ min_regions: count, min_success_rate: amount }),
  counts: object<JobSummary['counts']>({
    total: count,
    completed: count,
    failed: count,
    cancelled: count,
    expired: count,
  }),
  executions: list(
    object<SummaryExecution>({
      execution_id: text,
      outcome: oneOf(...TERMINAL_OUTCOMES),
      receipt_sha256: sha256Hex,
      region: nullable(text),
      follows: optional(text),
    }),
  ),
  manifest_cid: text,
  ended_at: time,
  salt: sha256Hex,
  software: softwareShape,
});

/** Throws ReceiptError unless these are the canonical bytes of a whole summary. */
export function parseJobSummary(bytes: Uint8Array): JobSummary {
  return readDocument(bytes, summaryShape);
}
