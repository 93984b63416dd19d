import { setTimeout as delay } from 'node:timers/promises';
import type { Outcome } from '../backends/backend.ts';
import type { Failure } from '../domain/failure.ts';
import { LIMITS } from '../domain/limits.ts';
import { cidOfDigest } from '../domain/receipt/cid.ts';
import type { Pool } from '../store/pool.ts';
import { stageOutcome, type StagedOutcome, type WorkRow } from '../store/work.ts';

export interface Staging {
  pool: Pool;
  jobId: string;
  row: WorkRow;
  heartbeat(): void;
}

/** The work is done and must not be lost to a database that restarts: how long and how often staging is tried. */
const STAGE_FOR_MS = 120_000;
const STAGE_AGAIN_MS = 1_000;

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

async function stage({ pool, row, heartbeat }: Staging, staged: StagedOutcome): Promise<boolean> {
  const until = performance.now() + STAGE_FOR_MS;
  for (;;) {
    try {
      return await stageOutcome(pool, row, staged);
    } catch (error) {
      if (performance.now() > until) throw error;
      heartbeat();
      await delay(STAGE_AGAIN_MS);
    }
  }
}
