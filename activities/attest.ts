import type { ExecutionReceipt } from '../domain/receipt/execution-receipt.ts';
import type { JobSummary } from '../domain/receipt/job-summary.ts';
import { LIMITS } from '../domain/limits.ts';
import { isTerminal } from '../domain/states.ts';
import type { BusinessEvents } from '../observability/events.ts';
import {
  countDown,
  endExecutions,
  lockForAttest,
  type ExecutionEnd,
  type SignedDocument,
} from '../store/attest.ts';
import { countOpen, readForAttest, type AttestedExecution, type AttestedJob } from '../store/attest-reads.ts';
import { endJob, readEnded, type EndedExecution, type JobEnd } from '../store/job-end.ts';
import { getBlob } from '../store/blobs.ts';
import { isLogRefusal } from '../store/log-refusal.ts';
import { withTransaction, type Pool, type Transaction } from '../store/pool.ts';
import { readAsked, type Asked } from './asked.ts';
import { describeExecution, describeJob, type Software } from './describe.ts';
import { decide, decideJobEnd, type AttestReason } from './outcome.ts';
import type { AttemptOutcome } from './stage-outcome.ts';

export interface AttestInput {
  job: string;
  /** Indexes in the job's plan, at most 50; `open` = up to 50 that have no receipt. */
  indexes: number[] | 'open';
  reason: AttestReason;
}

export interface AttestResult {
  /** Executions of the job that are still without a receipt. */
  open: number;
}

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

export interface AttestDeps {
  pool: Pool;
  signing: AttestSigning;
  software: Software;
  events: BusinessEvents;
  /** Called after each commit that wrote events and log entries. */
  committed(): void;
}

/** One transaction ends at most this many executions (spec: core §5). */
const LOT = 50;
/** Transactions of one process that may wait for one job's row at once; more would only hold connections. */
const PARALLEL_PER_JOB = 4;

export type AttestActivities = ReturnType<typeof createAttestActivities>;

export function createAttestActivities(deps: AttestDeps) {
  const turn = createTurns(PARALLEL_PER_JOB);
  return {
    /**
     * Ends executions: receipt, terminal state, events and pending log entries in one transaction, which also ends the
     * job when none is left. Repeating it changes nothing: an ended execution keeps the receipt that it has.
     */
    async attest(input: AttestInput): Promise<AttestResult> {
      return turn(input.job, async () => {
        for (;;) {
          const done = await attestOnce(deps, input).catch((error: unknown) => renewed(deps, error));
          if (done !== undefined) return done;
        }
      });
    },
  };
}

/** Undefined, to try again, when the log takes nothing of the key any more and there is another; throws everything else. */
async function renewed({ signing }: AttestDeps, error: unknown): Promise<undefined> {
  if (!(isLogRefusal(error) && (await signing.renew()))) throw error;
}

/** Undefined when an execution changed between reading and locking: then it is read again. */
async function attestOnce(
  deps: AttestDeps,
  { job: jobId, indexes, reason }: AttestInput,
): Promise<AttestResult | undefined> {
  const { pool, events } = deps;
  const { logId, signer } = deps.signing.now();
  const { job, raw, executions } = await readForAttest(pool, jobId, indexes, LOT);
  const asked = readAsked(raw, job.specSha256);
  // A repair also ends jobs that were to be cancelled and never had a workflow.
  const why = reason === 'workflow_closed' && job.cancelRequested ? 'cancelled' : reason;
  const built: ExecutionEnd[] = [];
  for (const execution of executions) {
    if (!isTerminal(execution.state)) built.push(await buildEnd(deps, signer, job, asked, execution, why));
  }
  if (built.length === 0) return { open: await countOpen(pool, jobId) };

  const told: (() => void)[] = [];
  const result = await withTransaction(pool, async (tx) => {
    const { ready, changed } = await lockForAttest(tx, built);
    if (changed) return undefined;
    const ends = built.filter((end) => ready.has(end.execution.id));
    if (ends.length === 0) return { open: await countOpen(tx, jobId) };
    await endExecutions(tx, job, logId, ends);
    const head = await countDown(tx, jobId, ends);
    for (const end of ends) told.push(() => events.executionEnded(endedEvent(job, end)));
    if (head.open === 0) {
      const end = await buildJobEnd(tx, deps, signer, job, head.cancelRequested);
      await endJob(tx, job, logId, end);
      told.push(() =>
        events.jobEnded({ jobId, status: end.outcome, completed: head.completed, total: head.total }),
      );
    }
    return { open: head.open };
  });
  if (result !== undefined) {
    deps.committed();
    for (const tell of told) tell();
  }
  return result;
}

async function buildEnd(
  deps: AttestDeps,
  signer: DocumentSigner,
  job: AttestedJob,
  asked: Asked,
  execution: AttestedExecution,
  reason: AttestReason,
): Promise<ExecutionEnd> {
  const decision = decide(execution.attempts, reason);
  const { attempt } = decision;
  const outcome = attempt?.outcome as AttemptOutcome | null | undefined;
  const stored = outcome?.output ?? null;
  const digest = stored === null ? null : Buffer.from(stored.sha256, 'hex');
  const inlineOutput =
    digest === null || stored!.size > LIMITS.outputInlineBytes ? undefined : await getBlob(deps.pool, digest);
  const endedAt = new Date();
  const document = describeExecution({
    job,
    asked,
    execution,
    decision,
    inlineOutput,
    endedAt,
    software: deps.software,
  });
  const receipt = await signer.signReceipt(document);
  return {
    execution,
    outcome: decision.outcome,
    failure: decision.failure,
    provider: document.provider,
    regionClaimed: document.region?.claimed ?? null,
    regionObserved: document.region?.observed ?? null,
    outputSha256: digest,
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

async function buildJobEnd(
  tx: Transaction,
  deps: AttestDeps,
  signer: DocumentSigner,
  job: AttestedJob,
  cancelRequested: boolean,
): Promise<JobEnd> {
  const ended = await readEnded(tx, job.id);
  const outcome = decideJobEnd(job.plan, ended, cancelRequested);
  const manifest = signer.manifest(job.id, ended);
  const endedAt = new Date();
  const summary = await signer.signSummary(
    describeJob({ job, outcome, ended, manifestCid: manifest.cid, endedAt, software: deps.software }),
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

function endedEvent(job: AttestedJob, end: ExecutionEnd): Parameters<BusinessEvents['executionEnded']>[0] {
  return {
    executionId: end.execution.id,
    jobId: job.id,
    region: (end.event.payload.region as string | null) ?? null,
    outcome: end.outcome,
    durationMs: end.durationMs,
    failure: end.failure ?? undefined,
  };
}

/** At most `limit` pieces of work per key at once; the others wait in order. */
function createTurns(limit: number): <T>(key: string, work: () => Promise<T>) => Promise<T> {
  const queues = new Map<string, { running: number; waiting: (() => void)[] }>();
  return async (key, work) => {
    const queue = queues.get(key) ?? { running: 0, waiting: [] };
    queues.set(key, queue);
    if (queue.running >= limit) await new Promise<void>((resolve) => queue.waiting.push(resolve));
    queue.running++;
    try {
      return await work();
    } finally {
      queue.running--;
      queue.waiting.shift()?.();
      if (queue.running === 0 && queue.waiting.length === 0) queues.delete(key);
    }
  };
}
