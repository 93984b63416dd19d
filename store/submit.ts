import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from './pool.ts';
import { classify, insertBatch, type Submit, type Submitted } from './submit-statement.ts';

/**
 * Intake. A submit waits in the queue; while a batch is in flight, the submits that arrive share the next one. One batch
 * is in flight per process: more gain nothing (docs/architecture.md, intake) and could wait for each other's keys.
 *
 *   queued ──▶ in a batch ──▶ stored                               answered `accepted` after the commit
 *                         ├─▶ left out, something clashes          answered by `classify`
 *                         ├─▶ left out, nothing clashes (its twin  queued again
 *                         │   in the batch was itself left out)
 *                         └─▶ batch failed on somebody's data      each alone; only the bad one is refused
 *
 * Nothing is durable before the commit, everything is after it.
 */
export interface Submitter extends AsyncDisposable {
  /** Resolves after the commit. Rejects with a SubmitError. */
  submit(job: Submit): Promise<Submitted>;
}

export type SubmitErrorCode =
  /** Too many submits wait already. */
  | 'queue_full'
  /** The database could not be asked; what became of the job is unknown, the same submit again finds out. */
  | 'store_unavailable'
  /** The database took nothing and could not say why. */
  | 'replay_check_unavailable'
  /** The database refuses this job's data: a check of ours is missing. */
  | 'row_refused'
  | 'closed';

export class SubmitError extends Error {
  readonly code: SubmitErrorCode;
  constructor(code: SubmitErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SubmitError';
    this.code = code;
  }
}

export interface SubmitterOptions {
  pool: Pool;
  notifier: { notify(channel: 'outbox' | 'feed'): void };
  /** Submits that may wait; default 1,024. */
  maxQueued?: number;
}

const MAX_BATCH_JOBS = 128;
/** A batch stops growing here, so that one statement stays far below its timeout. */
const MAX_BATCH_EXECUTIONS = 4_000;
const MAX_BATCH_BYTES = 8 * 1024 * 1024;
const MAX_QUEUED = 1_024;
const DEADLOCK_TRIES = 5;
const DEADLOCK_PAUSE_MS = 20;

interface Waiting {
  job: Submit;
  resolve(submitted: Submitted): void;
  reject(error: SubmitError): void;
}

export function createSubmitter({ pool, notifier, maxQueued = MAX_QUEUED }: SubmitterOptions): Submitter {
  const queue: Waiting[] = [];
  let draining: Promise<void> | undefined;
  let closed = false;

  async function drain(): Promise<void> {
    while (queue.length > 0) await settle(takeBatch(queue));
    // In the same turn as the last look at the queue: a submit that comes later starts the next drain.
    draining = undefined;
  }

  async function settle(batch: Waiting[]): Promise<void> {
    const [first, twins] = withoutTwins(batch);
    let stored: Set<string>;
    try {
      stored = await untilNoDeadlock(() =>
        insertBatch(
          pool,
          first.map(({ job }) => job),
        ),
      );
    } catch (cause) {
      if (!isAboutData(cause)) fail(batch, 'store_unavailable', 'the database did not answer', cause);
      else if (batch.length === 1) fail(batch, 'row_refused', 'the database refuses this job', cause);
      else for (const waiting of batch) await settle([waiting]);
      return;
    }
    if (stored.size > 0) {
      notifier.notify('outbox');
      notifier.notify('feed');
    }
    const left = [...twins];
    for (const waiting of first) {
      if (stored.has(waiting.job.id)) waiting.resolve({ kind: 'accepted', id: waiting.job.id });
      else left.push(waiting);
    }
    if (left.length > 0) await explain(left);
  }

  async function explain(left: Waiting[]): Promise<void> {
    try {
      const verdicts = await classify(
        pool,
        left.map(({ job }) => job),
      );
      for (const [index, waiting] of left.entries()) {
        const verdict = verdicts[index];
        if (verdict === undefined) queue.unshift(waiting);
        else waiting.resolve(verdict);
      }
    } catch (cause) {
      fail(left, 'replay_check_unavailable', 'the database did not answer', cause);
    }
  }

  return {
    submit(job) {
      if (closed) return Promise.reject(new SubmitError('closed', 'intake is closed'));
      if (queue.length >= maxQueued) {
        return Promise.reject(new SubmitError('queue_full', `${maxQueued} submits wait already`));
      }
      return new Promise((resolve, reject) => {
        queue.push({ job, resolve, reject });
        draining ??= drain();
      });
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      await draining;
    },
  };
}

function takeBatch(queue: Waiting[]): Waiting[] {
  let executions = 0;
  let bytes = 0;
  const end = queue.findIndex(({ job }, index) => {
    executions += job.plan.executions.length;
    bytes += job.raw.length;
    return (
      index > 0 && (index >= MAX_BATCH_JOBS || executions > MAX_BATCH_EXECUTIONS || bytes > MAX_BATCH_BYTES)
    );
  });
  return queue.splice(0, end < 0 ? queue.length : end);
}

/** Parts a batch into those that came first under each of their unique keys and those that repeat one. */
function withoutTwins(batch: readonly Waiting[]): [first: Waiting[], twins: Waiting[]] {
  const seen = new Set<string>();
  const first: Waiting[] = [];
  const twins: Waiting[] = [];
  for (const waiting of batch) {
    const { id, owner, messageSha256, nonce, idempotencyKey } = waiting.job;
    const keys = [
      `id ${id}`,
      `message ${owner} ${Buffer.from(messageSha256).toString('hex')}`,
      ...(nonce === null ? [] : [`nonce ${owner} ${nonce}`]),
      ...(idempotencyKey === null ? [] : [`key ${owner} ${idempotencyKey}`]),
    ];
    if (keys.some((key) => seen.has(key))) twins.push(waiting);
    else {
      first.push(waiting);
      for (const key of keys) seen.add(key);
    }
  }
  return [first, twins];
}

async function untilNoDeadlock<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (sqlState(error) !== '40P01' || tries === DEADLOCK_TRIES) throw error;
      await delay(Math.random() * DEADLOCK_PAUSE_MS * tries);
    }
  }
}

function sqlState(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Data exceptions, broken constraints, exceeded limits: somebody's row, not the database, is at fault. */
function isAboutData(error: unknown): boolean {
  return /^(22|23|54)...$/.test(sqlState(error) ?? '');
}

function fail(batch: readonly Waiting[], code: SubmitErrorCode, message: string, cause: unknown): void {
  for (const { reject } of batch) reject(new SubmitError(code, message, { cause }));
}
