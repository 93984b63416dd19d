import { pause } from '../domain/pause.ts';

export interface LoopOptions {
  name: string;
  /** Waits for something to do; resolves at once when `signal` is aborted. */
  wait(signal: AbortSignal): Promise<void>;
  /** One pass; true = there may be more to do at once. */
  step(signal: AbortSignal): Promise<boolean>;
  failed(error: unknown): void;
}

/** A loop under way; disposing lets the pass that runs finish. */
export type Loop = AsyncDisposable;

const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 10_000;

/** Runs `step` until disposed. A pass that throws is reported, and the next one waits, longer each time. */
export function runLoop({ wait, step, failed }: LoopOptions): Loop {
  const stop = new AbortController();
  const { signal } = stop;
  const run = async (): Promise<void> => {
    let pauseMs = PAUSE_MIN_MS;
    while (!signal.aborted) {
      try {
        const more = await step(signal);
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
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}
