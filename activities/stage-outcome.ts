import type { Outcome } from '../backends/backend.ts';
import type { Failure } from '../domain/failure.ts';
import { LIMITS } from '../domain/limits.ts';
import { cidOfDigest } from '../domain/receipt/cid.ts';
import type { Pool } from '../store/pool.ts';
import { stageOutcome, type StagedOutcome, type WorkRow } from '../store/work.ts';
import { bridged } from './bridged.ts';

export interface Staging {
  pool: Pool;
  jobId: string;
  row: WorkRow;
}

/** What the receipt needs of an attempt, as kept between `execute` and `attest`. */
export type AttemptOutcome = Omit<Outcome, 'files' | 'failure'>;

/** Keeps an attempt's outcome and files by reference; false when the attempt was fenced off. */
export async function stageAttempt(
  staging: Staging,
  outcome: Outcome | undefined,
  why: Failure | undefined,
): Promise<boolean> {
  let kept: AttemptOutcome | null = null;
  if (outcome !== undefined) {
    const { files: _files, failure: _failure, ...rest } = outcome;
    kept = rest;
  }
  return stage(staging, {
    state: why === undefined ? 'succeeded' : 'failed',
    outcome: kept,
    failure: why ?? null,
    durationMs: outcome?.durationMs ?? null,
    jobId: staging.jobId,
    files: (outcome?.files ?? []).map((file) => {
      const sha256 = Buffer.from(file.sha256, 'hex');
      return {
        name: file.name,
        size: file.size,
        mime: file.mime,
        sha256,
        cid: file.size <= LIMITS.blobPartBytes ? cidOfDigest(sha256) : null,
      };
    }),
  });
}

export async function stageCancelled(staging: Staging): Promise<boolean> {
  return stage(staging, {
    state: 'cancelled',
    outcome: null,
    failure: null,
    durationMs: null,
    files: [],
    jobId: staging.jobId,
  });
}

/** The worker shuts down: hands the attempt back, so that another worker begins the next one. */
export async function stageLost(staging: Staging): Promise<boolean> {
  return stage(staging, {
    state: 'lost',
    outcome: null,
    failure: null,
    durationMs: null,
    files: [],
    jobId: staging.jobId,
  });
}

function stage({ pool, row }: Staging, staged: StagedOutcome): Promise<boolean> {
  return bridged(() => stageOutcome(pool, row, staged));
}
