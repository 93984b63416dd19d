/** The program of an attempt on an approved agreement: activity, image, input, run, result. */
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Outcome, Step, Work } from '../backend.ts';
import { failure, type FailureCode } from '../../domain/failure.ts';
import { Refusal } from '../refusal.ts';
import type { Agreed } from './agree.ts';
import { attemptContext, type AttemptHooks } from './attempt-context.ts';
import type { Connection } from './connection.ts';
import { collectResult, logStreams, unpackResult, type Result } from './outputs.ts';
import { offerFiles, type OfferedFiles } from './offered-files.ts';
import { ProviderFault } from './provider-fault.ts';
import type { Golem } from './sdk.ts';
import type { Waits } from './settings.ts';
import { bounded, messageOf, unlessAborted } from './waiting.ts';
import { UNSUITABLE_EXIT, type Places } from './wrapper.ts';

export { ProviderFault };

export interface ProgramRequest {
  connection: Connection;
  agreed: Agreed;
  work: Work;
  step: Step;
  script: string;
  places: Places;
  /** Empty, and the caller's to remove. */
  folder: string;
  waits: Waits;
  hooks: AttemptHooks;
  /** A debit note above the cap came. */
  overpriced: Promise<string>;
  /** Finds out where the provider is; rejects when the job may not run there. Nothing of the job was sent before. */
  locate(exe: Golem.ExeUnit, signal: AbortSignal): Promise<void>;
  /** Filled in as things become known. */
  outcome: Outcome;
}

/** Polls of results that fail before the provider is given up; the SDK waits longer between each. */
const RESULT_RETRIES = 4;
const RESULT_POLL_SECONDS = 5;
/** How often a result is asked for: yagna may have been away as it came. */
const RESULT_TRIES = 3;
const RESULT_AGAIN_MS = 1_000;
const TIMEOUT_EXIT = 124;
const KILLED_EXIT = 137;
const FILE_SIZE_EXIT = 153;

export async function runProgram(request: ProgramRequest): Promise<void> {
  const { connection, agreed, step, waits, outcome, folder } = request;
  const { agreement } = agreed;
  const end = new AbortController();
  setMaxListeners(0, end.signal);
  const terminated = connection.yagna.agreementEvents$.subscribe((event) => {
    const { eventType, agreementId, terminator, reason } = event as typeof event & {
      terminator?: string;
      reason?: { message?: unknown };
    };
    if (
      agreementId !== agreement.id ||
      eventType !== 'AgreementTerminatedEvent' ||
      terminator === 'Requestor'
    )
      return;
    const why = typeof reason?.message === 'string' ? reason.message : 'no reason given';
    end.abort(new ProviderFault('provider_lost', `the provider ended the agreement: ${why}`));
  });
  void request.overpriced.then((asked) =>
    end.abort(new ProviderFault('provider_rejected', `the provider asks for ${asked}, more than was agreed`)),
  );
  const stopped = (): void => end.abort(step.signal.reason);
  step.signal.addEventListener('abort', stopped, { once: true });
  if (step.signal.aborted) stopped();
  const { work, script } = request;
  const files = offerFiles(connection.storage, { input: work.input, script, folder });
  try {
    await attemptContext.run(request.hooks, async () => {
      const exe = await deploy(request, end.signal);
      await request.locate(exe, end.signal);
      const limit = step.budgetMs + waits.collectMs;
      const own = bounded(end.signal, limit, () => timedOut(step.budgetMs));
      setMaxListeners(0, own.signal);
      try {
        step.heartbeat('running');
        outcome.startedAt = new Date().toISOString();
        const began = performance.now();
        const file = await bring(request, exe, files, own.signal);
        outcome.durationMs = Math.round(performance.now() - began);
        step.heartbeat('collecting outputs');
        const result = await unpackResult(file, folder);
        await judge(result, request);
      } finally {
        own.done();
      }
    });
  } finally {
    terminated.unsubscribe();
    step.signal.removeEventListener('abort', stopped);
    end.abort();
    await files.release();
  }
}

async function deploy(
  { connection: { glm, storage }, agreed: { agreement }, step, waits }: ProgramRequest,
  signal: AbortSignal,
): Promise<Golem.ExeUnit> {
  step.heartbeat('approved');
  const slow = (): Error =>
    new ProviderFault('provider_lost', `the image was not started in ${waits.deployMs} ms`);
  const own = bounded(signal, waits.deployMs, slow);
  setMaxListeners(0, own.signal);
  try {
    const activity = await unlessAborted(own.signal, glm.activity.createActivity(agreement, own.signal));
    step.heartbeat('deploying');
    // Not the bounded signal: it would end the activity later, although it was started in time.
    const exe = await unlessAborted(
      own.signal,
      glm.activity.createExeUnit(activity, {
        storageProvider: storage,
        signalOrTimeout: signal,
        executionOptions: {
          activityExeBatchResultMaxRetries: RESULT_RETRIES,
          activityExeBatchResultPollIntervalSeconds: RESULT_POLL_SECONDS,
        },
      }),
    );
    step.heartbeat('deployed');
    return exe;
  } catch (error) {
    if (own.signal.aborted) throw own.signal.reason;
    throw new ProviderFault('provider_lost', `not started: ${messageOf(error)}`, { cause: error });
  } finally {
    own.done();
  }
}

const STEPS = ['input', 'script', 'run', 'result'] as const;

/** Input and script there, run, result back: one batch, so that no answer has to be waited for in between. */
async function bring(
  { places, step, hooks }: ProgramRequest,
  exe: Golem.ExeUnit,
  files: OfferedFiles,
  signal: AbortSignal,
): Promise<string> {
  const told: AttemptHooks = {
    ...hooks,
    results: (count) => {
      if (count === 3) step.heartbeat('downloading');
    },
  };
  let results: Golem.Result[];
  try {
    const { input, script, result } = await unlessAborted(signal, files.addresses);
    const batch = exe
      .beginBatch()
      .transfer(input, `container:${places.input}`)
      .transfer(script, `container:${places.script}`)
      .run('/bin/sh', [places.script])
      .transfer(`container:${places.result}`, result);
    results = await unlessAborted(
      signal,
      attemptContext.run(told, () => batch.end()),
    );
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw new ProviderFault('provider_lost', messageOf(error), { cause: error });
  }
  const failed = results.findIndex((result) => result.result === 'Error');
  const at = STEPS[failed === -1 ? results.length : failed];
  if (at === 'result' && failed !== -1) await bringAgain(exe, { files, from: places.result, signal });
  else if (at !== undefined) throw failedAt(at, results[failed]);
  return files.received().catch((error: unknown) => {
    throw new ProviderFault('provider_lost', messageOf(error), { cause: error });
  });
}

/** The program ran; only its result did not come. */
async function bringAgain(
  exe: Golem.ExeUnit,
  { files, from, signal }: { files: OfferedFiles; from: string; signal: AbortSignal },
): Promise<void> {
  for (let tries = 2; ; tries++) {
    await delay(RESULT_AGAIN_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    const transfer = async (): Promise<Golem.Result | undefined> => {
      const to = await files.another();
      const [result] = await exe.beginBatch().transfer(`container:${from}`, to).end();
      return result;
    };
    const result = await unlessAborted(signal, transfer()).catch((error: unknown) => {
      signal.throwIfAborted();
      throw new ProviderFault('provider_lost', messageOf(error), { cause: error });
    });
    if (result?.result === 'Ok') return;
    if (tries === RESULT_TRIES) throw failedAt('result', result);
  }
}

function failedAt(at: (typeof STEPS)[number], result: Golem.Result | undefined): Refusal {
  const message = (result?.message ?? 'no result').slice(0, 300);
  if (at === 'run' && new RegExp(`code ${UNSUITABLE_EXIT}\\b`).test(message))
    return new Refusal(
      'image_unsuitable',
      'the image must have sh, tar and timeout, and a VOLUME that can be written',
    );
  return new ProviderFault('provider_lost', `${at} failed: ${message}`);
}

async function judge(result: Result, { outcome, step }: ProgramRequest): Promise<void> {
  outcome.exitCode = result.exitCode;
  logStreams(result, (line) => step.log(line));
  const why = failureOf(result, outcome.durationMs ?? 0, step.budgetMs);
  if (why !== undefined) outcome.failure = failure(...why);
  try {
    const collected = await collectResult(result, (bytes) => step.store(bytes));
    outcome.output = collected.output;
    outcome.files = collected.files;
  } catch (error) {
    // What a failed program left is kept as far as it can be taken; its own failure stays the reason.
    if (!(error instanceof Refusal) || outcome.failure === undefined) throw error;
    step.log({ timeUs: Date.now() * 1_000, source: 'system', line: `outputs not kept: ${error.message}` });
    return;
  }
  if (outcome.failure === undefined && outcome.output === null)
    outcome.failure = failure('no_output', 'the program wrote neither output.json nor anything to stdout');
}

function failureOf(
  { exitCode, cut }: Result,
  tookMs: number,
  budgetMs: number,
): [FailureCode, string] | undefined {
  if (cut !== null) return ['output_too_large', `${cut} is larger than what is kept of it`];
  if (exitCode === 0) return undefined;
  if (exitCode === null) return ['provider_lost', 'the exit code did not come back'];
  const late = tookMs >= Math.floor(budgetMs / 1_000) * 1_000;
  if (late && (exitCode === TIMEOUT_EXIT || exitCode === KILLED_EXIT))
    return ['attempt_timeout', `the program did not end within ${budgetMs} ms`];
  if (exitCode === FILE_SIZE_EXIT) return ['file_too_large', 'a file grew beyond what is taken'];
  return ['exit_nonzero', `the program exited with code ${exitCode}`];
}

function timedOut(budgetMs: number): Refusal {
  return new Refusal('attempt_timeout', `the attempt did not end within ${budgetMs} ms`);
}
