import { isTerminal } from '../../domain/states.ts';
import type { ExecutionAnswer, JobAnswer } from '../http/answers.ts';
import type { FeedEvent } from '../http/feed-frames.ts';

export interface ExecutionProgress {
  id: string;
  index: number;
  region: string | undefined;
  model: string | undefined;
  question: number | undefined;
  state: string;
  provider: string | undefined;
  attempt: number | undefined;
  /** When this client saw it start, its own clock. */
  startedSeenMs: number | undefined;
  durationMs: number | undefined;
  cid: string | undefined;
  logIndex: number | undefined;
  /** Why it failed, or where it went instead. */
  remark: string | undefined;
}

export interface JobProgress {
  id: string;
  state: string;
  executions: Map<string, ExecutionProgress>;
}

/** States only move on: an event that is older than the snapshot read meanwhile changes nothing back. */
const RANK: Record<string, number> = { pending: 0, placing: 1, parked: 2, running: 2 };
const rank = (state: string): number => RANK[state] ?? 3;

export function newProgress(jobId: string): JobProgress {
  return { id: jobId, state: 'accepted', executions: new Map() };
}

export const jobEnded = (progress: JobProgress): boolean => isTerminal(progress.state);

/** True when every execution that has ended also stands in the log, as far as this client was told. */
export function allLogged(progress: JobProgress): boolean {
  return [...progress.executions.values()].every((execution) => execution.logIndex !== undefined);
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;
const numberOf = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);

/** Takes in what the API says now. */
export function applySnapshot(progress: JobProgress, answer: JobAnswer): void {
  moveJob(progress, answer.status);
  const executions = answer.executions ?? [];
  executions.forEach((answer, at) => applyExecution(progress, answer, at));
}

function applyExecution(progress: JobProgress, answer: ExecutionAnswer, at: number): void {
  const execution = executionOf(progress, answer.id, answer.index ?? at);
  move(execution, answer.status);
  execution.region ??= textOf(answer.region);
  execution.model ??= textOf(answer.model_id);
  execution.question ??= numberOf(answer.question_index);
  execution.provider = textOf(answer.provider_id) ?? execution.provider;
  execution.attempt = numberOf(answer.attempt) ?? execution.attempt;
  execution.durationMs ??= numberOf(answer.duration_ms);
  execution.cid ??= textOf(answer.ipfs_cid);
  execution.logIndex ??= numberOf(answer.log_index);
  if (answer.failure) execution.remark ??= answer.failure.code;
}

/** Takes in one event of the feed; those of other kinds or jobs change nothing. */
export function applyEvent(progress: JobProgress, event: FeedEvent, nowMs: number): void {
  if (event.job_id !== progress.id) return;
  const [noun, verb = ''] = event.type.split('.');
  if (noun === 'job') {
    if (verb === 'started') moveJob(progress, 'running');
    else moveJob(progress, verb);
    return;
  }
  const id = textOf(event.execution_id);
  if (id === undefined) return;
  if (noun === 'transparency' && verb === 'entry_appended') {
    const known = progress.executions.get(id);
    if (known) known.logIndex = numberOf(event.log_index) ?? known.logIndex;
    return;
  }
  if (noun !== 'execution') return;
  const execution = executionOf(progress, id, numberOf(event.index) ?? progress.executions.size);
  execution.region = textOf(event.region) ?? execution.region;
  execution.model = textOf(event.model) ?? execution.model;
  execution.question = numberOf(event.question_index) ?? execution.question;
  execution.provider = textOf(event.provider) ?? execution.provider;
  execution.attempt = numberOf(event.attempt) ?? execution.attempt;
  if (verb === 'placed') move(execution, 'placing');
  else if (verb === 'started') {
    move(execution, 'running');
    execution.startedSeenMs ??= nowMs;
  } else if (verb === 'attempt_failed') execution.remark = textOf(event.code);
  else if (verb === 'fallback') execution.remark = `→ ${textOf(event.to_region) ?? '?'}`;
  else if (isTerminal(verb)) {
    move(execution, verb);
    execution.durationMs = numberOf(event.duration_ms) ?? execution.durationMs;
    execution.cid = textOf(event.ipfs_cid) ?? execution.cid;
    execution.remark = textOf(event.failure_code) ?? (verb === 'completed' ? undefined : execution.remark);
  }
}

function executionOf(progress: JobProgress, id: string, index: number): ExecutionProgress {
  const known = progress.executions.get(id);
  if (known) return known;
  const made: ExecutionProgress = {
    id,
    index,
    region: undefined,
    model: undefined,
    question: undefined,
    state: 'pending',
    provider: undefined,
    attempt: undefined,
    startedSeenMs: undefined,
    durationMs: undefined,
    cid: undefined,
    logIndex: undefined,
    remark: undefined,
  };
  progress.executions.set(id, made);
  return made;
}

function move(execution: ExecutionProgress, state: string): void {
  if (rank(state) >= rank(execution.state) && !isTerminal(execution.state)) execution.state = state;
}

function moveJob(progress: JobProgress, state: string): void {
  if (isTerminal(progress.state)) return;
  if (isTerminal(state) || state === 'running') progress.state = state;
}
