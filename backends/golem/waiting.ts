import { setTimeout as delay } from 'node:timers/promises';

/** What yagna's client answers: a promise whose call can be ended. */
export interface Cancelable<T> extends Promise<T> {
  cancel(): void;
}

/** As yagna's client says it. */
function cancelled(): Error {
  const error = new Error('Request aborted');
  error.name = 'CancelError';
  return error;
}

export interface Held {
  signal: AbortSignal;
  /** Makes a call that `cancel` ends, too; one without an answer in `boundMs` is ended. */
  call<R>(promise: Cancelable<R>, boundMs?: number): Promise<R>;
  delay(ms: number): Promise<void>;
}

/** `work` as something that the SDK can cancel. */
export function cancelable<T>(work: (held: Held) => Promise<T>): Cancelable<T> {
  const stop = new AbortController();
  let current: { cancel(): void } | undefined;
  const held: Held = {
    signal: stop.signal,
    async call(promise, boundMs) {
      current = promise;
      const timer = boundMs === undefined ? undefined : setTimeout(() => promise.cancel(), boundMs);
      try {
        return await promise;
      } finally {
        clearTimeout(timer);
        current = undefined;
      }
    },
    async delay(ms) {
      await delay(ms, undefined, { signal: stop.signal }).catch(() => {
        throw cancelled();
      });
    },
  };
  const promise = work(held).catch((error: unknown) => {
    throw stop.signal.aborted ? cancelled() : error;
  });
  return Object.assign(promise, {
    cancel() {
      stop.abort();
      current?.cancel();
    },
  });
}

/** Status of a yagna answer, as its client and the SDK attach it; undefined when there was no answer. */
export function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { status, previous, cause } = error as { status?: unknown; previous?: unknown; cause?: unknown };
  if (typeof status === 'number') return status;
  return statusOf(previous) ?? statusOf(cause);
}

/** What yagna said is wrong, one line. */
export function messageOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  const { body, previous, message } = error as { body?: unknown; previous?: unknown; message?: unknown };
  if (typeof body === 'object' && body !== null && 'message' in body && typeof body.message === 'string')
    return body.message;
  const own = typeof message === 'string' ? message : 'unknown error';
  return previous === undefined || previous === null ? own : `${own}: ${messageOf(previous)}`;
}

/** Rejects with the signal's reason as soon as it fires; what `work` does later is nobody's concern. */
export async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  if (signal.aborted) throw signal.reason;
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (stop !== undefined) signal.removeEventListener('abort', stop);
  }
}

/** A signal that fires with `parent`, or with `why` after `ms`; `done` takes the timer back. */
export function bounded(
  parent: AbortSignal,
  ms: number,
  why: () => Error,
): { signal: AbortSignal; done(): void } {
  const own = new AbortController();
  const follow = (): void => own.abort(parent.reason);
  if (parent.aborted) follow();
  else parent.addEventListener('abort', follow, { once: true });
  const timer = setTimeout(() => own.abort(why()), ms);
  return {
    signal: own.signal,
    done() {
      clearTimeout(timer);
      parent.removeEventListener('abort', follow);
    },
  };
}

export interface Deferred<T> {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
}

export function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((done, failed) => {
    resolve = done;
    reject = failed;
  });
  return { promise, resolve, reject };
}
