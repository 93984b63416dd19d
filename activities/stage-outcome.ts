import type { Outcome } from '../backends/backend.ts';
import type { Failure } from '../domain/failure.ts';
import { LIMITS } from '../domain/limits.ts';
import { cidOfDigest } from '../domain/receipt/cid.ts';
import type { BusinessEvents } from '../observability/events.ts';
import { withTransaction, type Pool } from '../store/pool.ts';
import { stageOutcome, type StagedOutcome, type WorkRow } from '../store/work.ts';
import type { Attester } from './attester.ts';
import { bridged } from './bridged.ts';
import type { HeldBytes } from './stage-bytes.ts';

export interface Staging {
  pool: Pool;
  jobId: string;
  row: WorkRow;
  held: HeldBytes;
  /** Present where this process holds a receipt key. */
  attester: Attester | undefined;
  events: BusinessEvents;
}

/** What the receipt needs of an attempt, as kept between `execute` and `attest`. */
export type AttemptOutcome = Omit<Outcome, 'files' | 'failure'>;

/**
 * Keeps an attempt's outcome and files by reference. A success is attested with it where that is possible; a failure is
 * not, because the workflow may know another place. `fenced` = the attempt was fenced off, and nothing was written.
 */
export async function stageAttempt(
  staging: Staging,
  outcome: Outcome | undefined,
  why: Failure | undefined,
): Promise<'attested' | 'staged' | 'fenced'> {
  const { jobId, row, held, attester, events } = staging;
  const staged = stagedOutcome(staging, outcome, why);
  if (attester !== undefined && staged.state === 'succeeded') {
    try {
      return await attester.settle(jobId, row.index, (tx) => stageOutcome(tx, row, staged), held);
    } catch (error) {
      events.attestDeferred({ executionId: row.executionId, error });
    }
  }
  return (await stage(staging, staged)) ? 'staged' : 'fenced';
}

function stagedOutcome(
  { jobId, held }: Staging,
  outcome: Outcome | undefined,
  why: Failure | undefined,
): StagedOutcome {
  let kept: AttemptOutcome | null = null;
  if (outcome !== undefined) {
    const { files: _files, failure: _failure, ...rest } = outcome;
    kept = rest;
  }
  return {
    state: why === undefined ? 'succeeded' : 'failed',
    outcome: kept,
    failure: why ?? null,
    durationMs: outcome?.durationMs ?? null,
    jobId,
    files: (outcome?.files ?? []).map((file) => {
      const sha256 = Buffer.from(file.sha256, 'hex');
      return {
        name: file.name,
        size: file.size,
        mime: file.mime,
        sha256,
        cid: file.cid ?? (file.size <= LIMITS.blobPartBytes ? cidOfDigest(sha256) : null),
      };
    }),
    blobs: [...held].map(([sha256, bytes]) => ({ sha256: Buffer.from(sha256, 'hex'), bytes })),
  };
}

export function stageCancelled(staging: Staging): Promise<boolean> {
  return stage(staging, ended(staging, 'cancelled'));
}

/** The worker shuts down: hands the attempt back, so that another worker begins the next one. */
export function stageLost(staging: Staging): Promise<boolean> {
  return stage(staging, ended(staging, 'lost'));
}

const ended = ({ jobId }: Staging, state: 'cancelled' | 'lost'): StagedOutcome => ({
  state,
  outcome: null,
  failure: null,
  durationMs: null,
  files: [],
  blobs: [],
  jobId,
});

function stage({ pool, row }: Staging, staged: StagedOutcome): Promise<boolean> {
  return bridged(() => withTransaction(pool, (tx) => stageOutcome(tx, row, staged)));
}
