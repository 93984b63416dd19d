import type { ExecutionReceipt } from '../domain/receipt/execution-receipt.ts';
import type { JobSummary } from '../domain/receipt/job-summary.ts';
import { LIMITS } from '../domain/limits.ts';
import type { ExecutionEnd, SignedDocument } from '../store/attest.ts';
import type { AttestedExecution, AttestedJob } from '../store/attest-reads.ts';
import { readEnded, type EndedExecution, type JobEnd } from '../store/job-end.ts';
import type { Transaction } from '../store/pool.ts';
import type { Asked } from './asked.ts';
import { describeExecution, describeJob, type Software } from './describe.ts';
import { decide, decideJobEnd, type AttestReason } from './outcome.ts';
import type { AttemptOutcome } from './stage-outcome.ts';

/** Turns documents into signed, addressed and loggable ones (attestation/receipt). */
export interface DocumentSigner {
  signReceipt(receipt: ExecutionReceipt): Promise<SignedDocument>;
  signSummary(summary: JobSummary): Promise<SignedDocument>;
  manifest(jobId: string, ended: readonly EndedExecution[]): JobEnd['manifest'];
}

/** With what to sign and for which log, as it stands at this moment (attestation/receipt/signing.ts). */
export interface AttestSigning {
  now(): { logId: string; signer: DocumentSigner };
  /** Looks for another key or log, after the database refused this one; false when there is none. */
  renew(): Promise<boolean>;
}

/** What one transaction signs with. */
export interface Signing {
  logId: string;
  signer: DocumentSigner;
  software: Software;
}

export interface Ending {
  job: AttestedJob;
  asked: Asked;
  execution: AttestedExecution;
  reason: AttestReason;
  /** The bytes of a small output. */
  readOutput(sha256: string): Promise<Uint8Array | undefined>;
}

/** What an execution's end will be, from stored values only. */
export async function buildEnd(
  { signer, software }: Signing,
  { job, asked, execution, reason, readOutput }: Ending,
): Promise<ExecutionEnd> {
  const decision = decide(execution.attempts, reason);
  const { attempt } = decision;
  const outcome = attempt?.outcome as AttemptOutcome | null | undefined;
  const stored = outcome?.output ?? null;
  const inlineOutput =
    stored === null || stored.size > LIMITS.outputInlineBytes ? undefined : await readOutput(stored.sha256);
  const endedAt = new Date();
  const document = describeExecution({
    job,
    asked,
    execution,
    decision,
    inlineOutput,
    endedAt,
    software,
  });
  const receipt = await signer.signReceipt(document);
  return {
    execution,
    outcome: decision.outcome,
    failure: decision.failure,
    provider: document.provider,
    regionClaimed: document.region?.claimed ?? null,
    regionObserved: document.region?.observed ?? null,
    outputSha256: stored === null ? null : Buffer.from(stored.sha256, 'hex'),
    outputCid: document.output?.cid ?? null,
    startedAt: document.started_at,
    endedAt: endedAt.toISOString(),
    durationMs: document.duration_ms === null ? null : Math.round(document.duration_ms),
    decidedBy: attempt?.attempt ?? null,
    receipt,
    event: {
      type: `execution.${decision.outcome}`,
      executionId: execution.id,
      payload: {
        job_id: job.id,
        execution_id: execution.id,
        index: execution.index,
        region: attempt?.region ?? execution.region,
        model: execution.model,
        question_index: execution.question_index,
        provider: document.provider,
        duration_ms: document.duration_ms,
        ipfs_cid: receipt.cid,
        ...(decision.failure === null ? {} : { failure_code: decision.failure.code }),
      },
    },
  };
}

/** What a job's end will be, in the transaction that ended its last execution. */
export async function buildJobEnd(
  { signer, software }: Signing,
  tx: Transaction,
  job: AttestedJob,
  cancelRequested: boolean,
): Promise<JobEnd> {
  const ended = await readEnded(tx, job.id);
  const outcome = decideJobEnd(job.plan, ended, cancelRequested);
  const manifest = signer.manifest(job.id, ended);
  const endedAt = new Date();
  const summary = await signer.signSummary(
    describeJob({ job, outcome, ended, manifestCid: manifest.cid, endedAt, software }),
  );
  return {
    outcome,
    endedAt: endedAt.toISOString(),
    summary,
    manifest,
    event: {
      type: `job.${outcome}`,
      payload: {
        job_id: job.id,
        completed: ended.filter((one) => one.outcome === 'completed').length,
        total: ended.length,
        summary_cid: summary.cid,
      },
    },
  };
}
