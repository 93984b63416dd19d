import { readBounded } from '../bounded-body.ts';
import { reasonOf } from '../call-failure.ts';
import { PublishError } from './target.ts';

/** Answers are a few lines; what is longer is not read. */
const MAX_ANSWER_BYTES = 1024 * 1024;

/**
 * One call with a bound on time and answer, without redirects. Throws PublishError `unreachable` when there is no answer,
 * or one of 5xx, 401, 403, 408 or 429: then it is not about what was asked. Kubo answers 500 to everything that it
 * refuses, so it says itself which of those are meant.
 */
export async function call(
  url: URL,
  init: RequestInit,
  options: { timeoutMs: number; signal: AbortSignal; serverErrorsAreRefusals?: boolean },
): Promise<{ status: number; text: string }> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeoutMs)]);
  try {
    const answer = await fetch(url, { ...init, redirect: 'error', signal });
    const text = new TextDecoder().decode(await readBounded(answer, MAX_ANSWER_BYTES));
    const { status } = answer;
    const isServers = status >= 500 && options.serverErrorsAreRefusals !== true;
    if (isServers || [401, 403, 408, 429].includes(status))
      throw new PublishError('unreachable', `${url.host} answered ${status}: ${text.slice(0, 200)}`);
    return { status, text };
  } catch (error) {
    options.signal.throwIfAborted();
    if (error instanceof PublishError) throw error;
    throw new PublishError('unreachable', `${url.host}: ${reasonOf(error)}`, { cause: error });
  }
}

/** The JSON of an answer; undefined where it is none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
