/**
 * Ends executions. Two ways lead here, and both end an execution in one transaction:
 *   attest  - the workflow's own step, for every outcome and again until it holds
 *   settle  - `execute` itself, for an attempt that succeeded in a process that holds a receipt key: the outcome is kept
 *             and attested at once, which saves the workflow that step. Whatever goes wrong leaves it to `attest`.
 */
import { isTerminal } from '../domain/states.ts';
import type { BusinessEvents } from '../observability/events.ts';
import { activeSpan, inSpan } from '../observability/tracing.ts';
import { countDown, endExecutions, lockForAttest, type ExecutionEnd } from '../store/attest.ts';
import { countOpen, readForAttest, type AttestedJob } from '../store/attest-reads.ts';
import { getBlob } from '../store/blobs.ts';
import { endJob } from '../store/job-end.ts';
import { isLogRefusal } from '../store/log-refusal.ts';
import { withTransaction, type Pool, type Queryable, type Transaction } from '../store/pool.ts';
import { DamagedBytes } from '../store/sound.ts';
import { readAsked } from './asked.ts';
import type { AttestInput, AttestResult } from './attest.ts';
import { buildEnd, buildJobEnd, type AttestSigning, type Signing } from './build-end.ts';
import type { Software } from './describe.ts';
import { limitByKey } from './limit-by-key.ts';

export interface AttestDeps {
  pool: Pool;
  signing: AttestSigning;
  software: Software;
  events: BusinessEvents;
  /** Called after each commit that wrote events and log entries. */
  committed(): void;
}

export interface Attester {
  attest(input: AttestInput): Promise<AttestResult>;
  /**
   * Keeps an outcome by `stage` and ends its execution, all or nothing. `fenced` = `stage` refused, and nothing was
   * written. `held` are bytes that `stage` stores, by their SHA-256 in hex.
   */
  settle(
    job: string,
    index: number,
    stage: (tx: Transaction) => Promise<boolean>,
    held: ReadonlyMap<string, Uint8Array>,
  ): Promise<'attested' | 'fenced'>;
}

/** One transaction ends at most this many executions (spec: core §5). */
const LOT = 50;
/** Transactions of one process that may wait for one job's row at once; more would only hold connections. */
const PARALLEL_PER_JOB = 4;

export function createAttester(deps: AttestDeps): Attester {
  const { pool, signing, software, events, committed } = deps;
  const limited = limitByKey(PARALLEL_PER_JOB);
  /** Does `work` until it is done: again when it says so, or when the log takes nothing of the key any more and there is another. */
  const until = async <T>(work: (now: Signing) => Promise<T | undefined>): Promise<T> => {
    for (;;) {
      const done = await work({ ...signing.now(), software }).catch(async (error: unknown) => {
        if (isLogRefusal(error) && (await signing.renew())) return undefined;
        throw error;
      });
      if (done !== undefined) return done;
    }
  };
  const tell = ({ job, ends, jobEnd }: Written): void => {
    committed();
    activeSpan()?.set({
      'beacon.receipts': ends.length,
      ...(jobEnd === undefined ? {} : { 'beacon.job.status': jobEnd.status }),
    });
    for (const end of ends) events.executionEnded(endedEvent(job, end));
    if (jobEnd !== undefined) events.jobEnded(jobEnd);
  };
  const attesting = <T>(job: string, work: () => Promise<T>): Promise<T> =>
    inSpan('attest', { attributes: { 'beacon.job.id': job } }, () => limited(job, work));
  return {
    attest: (input) =>
      attesting(input.job, async () => {
        const { open, written } = await until((now) => attestOnce(pool, now, input));
        if (written !== undefined) tell(written);
        return { open };
      }),
    settle: (job, index, stage, held) =>
      attesting(job, async () => {
        const settled = await until((now) =>
          withTransaction(pool, async (tx) => {
            if (!(await stage(tx))) return 'fenced';
            // `stage` holds the execution's lock: nothing can change between this reading and the writing.
            const built = await build(now, tx, { job, indexes: [index], reason: 'ended' }, held);
            const jobEnd = built.ends.length === 0 ? undefined : (await write(now, tx, built)).jobEnd;
            return { ...built, jobEnd };
          }),
        );
        if (settled === 'fenced') return settled;
        tell(settled);
        return 'attested';
      }),
  };
}

interface Built {
  job: AttestedJob;
  ends: ExecutionEnd[];
}

interface Written extends Built {
  /** Told when this was the job's last execution. */
  jobEnd: Parameters<BusinessEvents['jobEnded']>[0] | undefined;
}

/** Undefined when an execution changed between reading and locking: then it is read again. */
async function attestOnce(
  pool: Pool,
  signing: Signing,
  input: AttestInput,
): Promise<(AttestResult & { written?: Written }) | undefined> {
  const { job, ends: built } = await build(signing, pool, input);
  if (built.length === 0) return { open: await countOpen(pool, input.job) };
  return withTransaction(pool, async (tx) => {
    const { ready, changed } = await lockForAttest(tx, built);
    if (changed) return undefined;
    const ends = built.filter((end) => ready.has(end.execution.id));
    if (ends.length === 0) return { open: await countOpen(tx, input.job) };
    const { open, jobEnd } = await write(signing, tx, { job, ends });
    return { open, written: { job, ends, jobEnd } };
  });
}

/** Receipts and signatures, before the job's row is locked. */
async function build(
  signing: Signing,
  db: Queryable,
  { job: jobId, indexes, reason }: AttestInput,
  held: ReadonlyMap<string, Uint8Array> = new Map(),
): Promise<Built> {
  const { job, raw, executions } = await readForAttest(db, jobId, indexes, LOT);
  const asked = readAsked(raw, job.specSha256);
  // A repair also ends jobs that were to be cancelled and never had a workflow.
  const why = reason === 'workflow_closed' && job.cancelRequested ? 'cancelled' : reason;
  // A damaged output is not shown in its receipt; its hash is, and nothing else keeps the execution from its end.
  const readOutput = async (sha256: string): Promise<Uint8Array | undefined> =>
    held.get(sha256) ??
    (await getBlob(db, Buffer.from(sha256, 'hex')).catch((error: unknown) => {
      if (error instanceof DamagedBytes) return undefined;
      throw error;
    }));
  const ends: ExecutionEnd[] = [];
  for (const execution of executions) {
    if (isTerminal(execution.state)) continue;
    ends.push(await buildEnd(signing, { job, asked, execution, reason: why, readOutput }));
  }
  return { job, ends };
}

async function write(
  signing: Signing,
  tx: Transaction,
  { job, ends }: Built,
): Promise<AttestResult & Pick<Written, 'jobEnd'>> {
  await endExecutions(tx, job, signing.logId, ends);
  const { open, completed, total, cancelRequested } = await countDown(tx, job.id, ends);
  if (open > 0) return { open, jobEnd: undefined };
  const end = await buildJobEnd(signing, tx, job, cancelRequested);
  await endJob(tx, job, signing.logId, end);
  return { open, jobEnd: { jobId: job.id, status: end.outcome, completed, total } };
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
