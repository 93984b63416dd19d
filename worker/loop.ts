import { pause } from '../domain/pause.ts';

export interface LoopOptions {
  /** As health shows it. */
  name: string;
  /** Wait before the first pass; default none. */
  firstAfterMs?: number;
  /** Waits for something to do; resolves at once when `signal` is aborted. */
  wait(signal: AbortSignal): Promise<void>;
  /** One pass; true = there may be more to do at once. */
  step(signal: AbortSignal): Promise<boolean>;
  failed(error: unknown): void;
}

/** A loop under way; disposing lets the pass that runs finish. */
export interface Loop extends AsyncDisposable {
  readonly name: string;
  /** For how long it has tried without a pass that succeeded; 0 while it waits for something to do. */
  strugglingMs(): number;
}

const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 10_000;

/** Runs `step` until disposed. A pass that throws is reported, and the next one waits, longer each time. */
export function runLoop({ name, firstAfterMs = 0, wait, step, failed }: LoopOptions): Loop {
  const stop = new AbortController();
  const { signal } = stop;
  /** Since when it has been at a pass, first tries and repetitions together. */
  let tryingSince: number | undefined;
  const run = async (): Promise<void> => {
    let pauseMs = PAUSE_MIN_MS;
    if (firstAfterMs > 0) await pause(firstAfterMs, signal);
    while (!signal.aborted) {
      try {
        tryingSince ??= performance.now();
        const more = await step(signal);
        tryingSince = undefined;
        pauseMs = PAUSE_MIN_MS;
        if (!more) await wait(signal);
      } catch (error) {
        failed(error);
        await pause(pauseMs, signal);
        pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS);
      }
    }
  };
  const running = run();
  return {
    name,
    strugglingMs: () => (tryingSince === undefined ? 0 : performance.now() - tryingSince),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

interface EveryOptions extends Pick<LoopOptions, 'name' | 'failed'> {
  everyMs: number;
  work(): Promise<unknown>;
}

/** The same for work that is done at the start and again and again, whatever there is to do. */
export function runEvery({ name, everyMs, work, failed }: EveryOptions): Loop {
  return runLoop({
    name,
    wait: (signal) => pause(everyMs, signal),
    async step() {
      await work();
      return false;
    },
    failed,
  });
}
