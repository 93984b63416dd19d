import { setTimeout as sleep } from 'node:timers/promises';
import { reasonOf } from './failure.ts';
import { RESTART_FIRST_MS, RESTART_LIMIT_MS, RESTART_STEADY_MS } from './limits.ts';
import type { ProcessIdentity } from './process-identity.ts';
import type { Progress } from './progress.ts';

/*
 * One part of the stack: starting → running → (ended: pause → starting …) → stopped.
 * The first start fails for its caller. After that the part is started again for ever, with a pause that doubles from
 * try to try and is forgotten when it ran steadily; only `stop` leaves the circle. Nothing here is durable: pid files
 * are the business of who starts the process.
 */

export interface Running {
  identity: ProcessIdentity;
  /** Resolves with the reason when the process has ended. */
  ended: Promise<string>;
  /** Ends it gently; at once when `force` aborts. */
  stop(force?: AbortSignal): Promise<void>;
}

export interface Supervised<R extends Running> {
  readonly name: string;
  /** Null while it is down. */
  current(): R | null;
  restarts(): number;
  /** Stops it and lets it come back by itself, with what has changed around it. */
  renew(): Promise<void>;
  /** Stops it for good. */
  stop(force?: AbortSignal): Promise<void>;
}

export interface SuperviseOptions<R extends Running> {
  name: string;
  /** Resolves when the part is ready to be used. */
  start(signal: AbortSignal): Promise<R>;
  progress: Progress;
  /** Called when it came, went or came back. */
  onChange(): void;
  signal?: AbortSignal | undefined;
}

export async function supervise<R extends Running>(options: SuperviseOptions<R>): Promise<Supervised<R>> {
  const { name, start, progress, onChange } = options;
  const stopping = new AbortController();
  let restarts = 0;
  let current: R | null = await start(
    options.signal ? AbortSignal.any([options.signal, stopping.signal]) : stopping.signal,
  );
  let startedMs = performance.now();
  onChange();

  const stopped = () => stopping.signal.aborted;
  const circle = async () => {
    let pauseMs = RESTART_FIRST_MS;
    let reason = '';
    while (!stopped()) {
      if (current) {
        reason = await current.ended;
        current = null;
        if (stopped()) return;
        onChange();
        if (performance.now() - startedMs > RESTART_STEADY_MS) pauseMs = RESTART_FIRST_MS;
      }
      progress.say(`${name} ended (${reason}); starting it again in ${pauseMs / 1000} s`);
      try {
        await sleep(pauseMs, undefined, { signal: stopping.signal });
        pauseMs = Math.min(pauseMs * 2, RESTART_LIMIT_MS);
        restarts++;
        startedMs = performance.now();
        current = await start(stopping.signal);
        progress.say(`${name} is back`);
        onChange();
      } catch (error) {
        reason = reasonOf(error);
      }
    }
  };
  const ended = circle();

  return {
    name,
    current: () => current,
    restarts: () => restarts,
    renew: async () => current?.stop(),
    async stop(force) {
      stopping.abort();
      await current?.stop(force);
      await ended;
      current = null;
    },
  };
}
