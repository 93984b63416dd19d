import type { Outcome, Step, Work } from '../backend.ts';
import { failure, type Failure, type FailureCode } from '../../domain/failure.ts';
import { BOUNDS } from './bounds.ts';
import type { Ended, EnforcedLimits, Isolation, Task } from './isolation.ts';
import { createJobFolder, removeFolder } from './job-folder.ts';
import { checkedName, jobTerms, refuseEnvironment } from './job-terms.ts';
import { isRoot, type JobUsers } from './job-users.ts';
import { collectOutputs, type Collected } from './outputs/collect.ts';
import type { Wanted } from './image/pinned.ts';
import { prepare, type Ground } from './prepare.ts';
import { Refusal } from '../refusal.ts';
import { unplaced } from '../unplaced.ts';
import { ProgramStreams } from './streams.ts';

export interface AttemptDeps {
  ground(): Promise<Ground>;
  isolation(kind: Isolation['kind'], ground: Ground): Isolation;
  users: JobUsers;
}

/** 128 + SIGXFSZ: what a program that passed the bound of one file dies of. */
const FILE_SIZE_EXIT = 153;

const NOTHING_RAN = new Set<FailureCode>(['sandbox_unavailable', 'backend_unavailable']);

/**
 * One attempt: terms checked → image prepared → folder made → program run → tree gone → outputs collected → folder
 * removed. Nothing of it outlives the call. The budget counts from the first line; `signal` rejects with its reason.
 */
export async function runAttempt(work: Work, step: Step, deps: AttemptDeps): Promise<Outcome> {
  step.signal.throwIfAborted();
  const name = checkedName(work.name);
  const streams = new ProgramStreams(step.log);
  const ground = await deps.ground();
  // A timer of its own: AbortSignal.timeout may be collected as garbage while only AbortSignal.any knows it.
  const budget = new AbortController();
  const timer = setTimeout(() => budget.abort(new Error('the budget is used up')), step.budgetMs);
  const stop = AbortSignal.any([step.signal, budget.signal]);
  const outcome = unplaced(work, {
    backend: 'local',
    provider: ground.settings.provider,
    claimed: ground.settings.region,
  });
  const user = isRoot() ? deps.users.take() : null;
  let folder: string | undefined;
  try {
    const terms = jobTerms(work, ground.settings);
    step.heartbeat('preparing image');
    const pin = (digest: string): Promise<string> => step.pinImage(work.image, digest);
    const image: Wanted = { name: work.image, digest: work.imageDigest, pin };
    const prepared = await prepare(image, terms.command, ground, stop);
    if (prepared.isolation === 'process') refuseEnvironment(terms);
    const isolation = deps.isolation(prepared.isolation, ground);
    const files = await createJobFolder(ground.settings.stateFolder, name, work.input, user);
    folder = files.path;
    const task: Task = {
      name,
      program: prepared.program,
      folder: files,
      user,
      terms,
      budgetMs: step.budgetMs,
      streams,
      stop,
      record: (ids) => step.record(ids),
    };
    step.heartbeat(`running (${isolation.kind})`);
    const limits = isolation.limits(task);
    Object.assign(outcome, { isolation: isolation.kind, imageExecuted: prepared.imageExecuted, limits });
    const ended = await isolation.run(task);
    step.signal.throwIfAborted();
    outcome.startedAt = ended.startedAt;
    outcome.durationMs = ended.durationMs;
    outcome.exitCode = ended.exitCode;
    Object.assign(limits, ended.limits);
    const why = judge(ended, limits, step.budgetMs);
    if (why !== null) outcome.failure = why;
    if (ended.stopped === null) {
      step.heartbeat('collecting outputs');
      await collect(outcome, files.output, streams, step);
    }
  } catch (error) {
    step.signal.throwIfAborted();
    if (stop.aborted) outcome.failure = timedOut(step.budgetMs);
    else if (error instanceof Refusal) outcome.failure = error.failure;
    else throw error;
    // A sandbox that never stood ran nothing.
    if (NOTHING_RAN.has(outcome.failure.code))
      Object.assign(outcome, { isolation: null, imageExecuted: null, limits: {} });
  } finally {
    clearTimeout(timer);
    if (folder !== undefined) await removeFolder(folder);
    if (user !== null) deps.users.giveBack(user);
  }
  return outcome;
}

/** A code of a limit only where that limit was really enforced; elsewhere it is the program's exit code. */
function judge(ended: Ended, limits: EnforcedLimits, budgetMs: number): Failure | null {
  switch (ended.stopped) {
    case 'stop':
      return timedOut(budgetMs);
    case 'stdout':
      return failure('output_too_large', `stdout is larger than ${BOUNDS.stdoutBytes} bytes`);
    case 'stderr':
      return failure('output_too_large', `stderr is larger than ${BOUNDS.stderrBytes} bytes`);
    case 'folder_bytes':
      return failure('file_too_large', `the output folder grew beyond ${BOUNDS.folderBytes} bytes`);
    case 'folder_entries':
      return failure('files_too_many', `the output folder grew beyond ${BOUNDS.folderEntries} entries`);
    case 'cpu_seconds':
      return outOfTime(limits.cpu_seconds);
    case null:
      break;
  }
  if (ended.exitCode === 0) return null;
  if (ended.killedForMemory && limits.memory_bytes !== null)
    return failure('memory_limit', `the program was killed for memory (limit ${limits.memory_bytes} bytes)`);
  if (ended.refusedProcesses && limits.pids !== null)
    return failure('pids_limit', `the program asked for more than ${limits.pids} processes`);
  if (ended.exitCode === FILE_SIZE_EXIT && limits.file_bytes !== null)
    return failure('file_too_large', `a file grew beyond ${limits.file_bytes} bytes`);
  if (ended.killedForTime && limits.cpu_seconds !== null) return outOfTime(limits.cpu_seconds);
  return failure('exit_nonzero', `the program exited with code ${ended.exitCode ?? 'unknown'}`);
}

function outOfTime(seconds: number | null): Failure {
  return failure('cpu_limit', `the program used up its ${seconds} s of processor time`);
}

function timedOut(budgetMs: number): Failure {
  return failure('attempt_timeout', `the attempt did not end within ${budgetMs} ms`);
}

/** What a failed program left is kept too, as far as it can be taken; then its own failure stays the reason. */
async function collect(outcome: Outcome, folder: string, streams: ProgramStreams, step: Step): Promise<void> {
  let collected: Collected;
  try {
    collected = await collectOutputs(folder, streams.stdout, (bytes) => step.store(bytes));
  } catch (error) {
    if (!(error instanceof Refusal) || outcome.failure === undefined) throw error;
    streams.system(`outputs not kept: ${error.message}`);
    return;
  }
  outcome.output = collected.output;
  outcome.files = collected.files;
  if (outcome.failure === undefined && collected.output === null)
    outcome.failure = failure('no_output', 'the program wrote neither output.json nor anything to stdout');
}
