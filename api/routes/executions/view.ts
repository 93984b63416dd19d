import { fromUtf8, toHex } from '../../../domain/encoding.ts';
import type { Plan } from '../../../domain/jobspec/plan.ts';
import type { AttemptRow, ExecutionRow, FileRow } from '../../../store/execution-reads.ts';
import type { ExecutionItem, TriedExecution } from '../../schemas.ts';

const time = (value: Date | null): string | null => value?.toISOString() ?? null;

/** An execution with the field names of older clients beside ours; what is not known is null, never "" or zero. */
export function executionView(row: ExecutionRow): ExecutionItem {
  const base = `/api/v1/executions/${row.id}`;
  return {
    id: row.id,
    number: row.number,
    job_id: row.job_id,
    index: row.idx,
    follows: row.follows,
    status: row.state,
    phase: row.phase,
    region: row.region,
    region_ran: row.region_ran,
    region_claimed: row.region_claimed,
    region_observed: row.region_observed,
    backend: row.backend,
    provider_id: row.provider,
    model_id: row.model,
    question_id: row.question === null ? null : String(row.question),
    question_index: row.question,
    question: row.question_text,
    attempt: row.attempt,
    created_at: row.created_at.toISOString(),
    started_at: time(row.started_at),
    completed_at: time(row.ended_at),
    duration_ms: row.duration_ms,
    has_receipt: row.receipt_cid !== null,
    receipt_id: row.receipt_cid,
    ipfs_cid: row.receipt_cid,
    output: row.output === null ? null : readable(row.output),
    output_sha256: row.output_sha256 === null ? null : toHex(row.output_sha256),
    output_url: row.output_sha256 === null ? null : `${base}/output`,
    failure: row.failure,
  };
}

/** The same with its tries. Attempts that were lost do not count against `max_retries`. */
export function triedExecutionView(
  row: ExecutionRow,
  attempts: readonly AttemptRow[],
  plan: Plan | undefined,
): TriedExecution {
  const retries = attempts.slice(1);
  return {
    ...executionView(row),
    retry_count: retries.length,
    max_retries: plan === undefined ? null : maxRetries(plan, row.region),
    last_retry_at: time(retries.at(-1)?.created_at ?? null),
    retry_history: attempts.slice(0, -1).map(attemptView),
    original_error: attempts.find(({ failure }) => failure !== null)?.failure?.message ?? null,
    system_prompt: null,
  };
}

function maxRetries(
  { attempts_per_region: perRegion, fallback_regions: fallback }: Plan,
  home: string | null,
) {
  return perRegion * (1 + fallback.filter((region) => region !== home).length) - 1;
}

function readable(bytes: Buffer): string | null {
  return fromUtf8(bytes) ?? null;
}

export function attemptView(row: AttemptRow) {
  return {
    attempt: row.attempt,
    number: row.number,
    status: row.state,
    backend: row.backend,
    region: row.region,
    budget_ms: row.budget_ms,
    failure: row.failure,
    created_at: row.created_at.toISOString(),
    ended_at: time(row.ended_at),
    duration_ms: row.duration_ms,
  };
}

export function fileView(executionId: string, row: FileRow) {
  const name = row.name.split('/').map(encodeURIComponent).join('/');
  return {
    name: row.name,
    size: row.size,
    mime: row.mime,
    sha256: toHex(row.sha256),
    cid: row.cid,
    url: `/api/v1/executions/${executionId}/files/${name}`,
  };
}
