/**
 * Keeps calls from a yagna that does not answer, and from too many at once (docs/golem.md):
 *   closed    -> calls pass; three failures in a row, or most of three or more calls in half a minute: open
 *   open      -> calls are refused at once; after some seconds half open
 *   half_open -> one call is let through, the others are refused: closed when it succeeds, open when it fails
 *   forced    -> an operator opened it: refused until he resets it
 */
import CircuitBreaker from 'opossum';

export const BREAKER_STATES = ['closed', 'open', 'half_open'] as const;
export type BreakerState = (typeof BREAKER_STATES)[number];

export interface BreakerStats {
  state: BreakerState;
  /** Opened by an operator. */
  forced: boolean;
  /** Of the last half minute. */
  requests: number;
  successes: number;
  failures: number;
  /** Refused while open, or because too many were under way. */
  rejected: number;
  /** RFC 3339. */
  lastFailure: string | null;
}

export interface Breaker extends AsyncDisposable {
  readonly name: string;
  /** Rejects with BreakerRefusal when the call was not made; else as `work` does. */
  run<T>(work: () => Promise<T>): Promise<T>;
  stats(): BreakerStats;
  /** An operator's word. */
  force(order: 'open' | 'reset'): void;
  /** Called after every move; answers how to stop that. */
  onMove(listener: (from: BreakerState, to: BreakerState) => void): () => void;
}

/** Nothing was called: try again later. */
export class BreakerRefusal extends Error {
  override readonly name = 'BreakerRefusal';
  readonly code: 'breaker_open' | 'breaker_full';
  constructor(code: BreakerRefusal['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface BreakerOptions {
  name: string;
  /** Whether an error is the dependency's fault; others pass without counting. */
  counts(error: unknown): boolean;
  /** Calls under way at once; more are refused. */
  atOnce?: number;
  /** A call that takes longer has failed; what it does goes on. */
  callMs?: number;
  resetMs?: number;
}

/** Fewer calls than this open nothing. */
const LEAST_CALLS = 3;
const FAILED_PERCENT = 50;
const WINDOW_MS = 30_000;
/** Waiting jobs go on within seconds after yagna is back. */
const RESET_MS = 5_000;
const CALL_MS = 60_000;
const AT_ONCE = 64;

export function createBreaker(options: BreakerOptions): Breaker {
  const { name, counts, atOnce = AT_ONCE, callMs = CALL_MS, resetMs = RESET_MS } = options;
  const listeners = new Set<(from: BreakerState, to: BreakerState) => void>();
  const circuit = new CircuitBreaker<[() => Promise<unknown>], unknown>((work) => work(), {
    name,
    capacity: atOnce,
    timeout: callMs,
    resetTimeout: resetMs,
    volumeThreshold: LEAST_CALLS,
    errorThresholdPercentage: FAILED_PERCENT,
    rollingCountTimeout: WINDOW_MS,
    rollingPercentilesEnabled: false,
    // A call that does not come back is the dependency's fault, whatever it would have said.
    errorFilter: (error: unknown) => !isLate(error) && (error instanceof BreakerRefusal || !counts(error)),
  });
  let inARow = 0;
  let forced = false;
  let lastFailure: string | null = null;
  let known: BreakerState = 'closed';

  const state = (): BreakerState =>
    forced || circuit.opened ? 'open' : circuit.halfOpen || circuit.pendingClose ? 'half_open' : 'closed';
  const moved = (): void => {
    const [from, to] = [known, state()];
    if (from === to) return;
    known = to;
    for (const listener of listeners) listener(from, to);
  };
  const failed = (): void => {
    lastFailure = new Date().toISOString();
    // Half a minute of successes before would hide for long that nothing answers any more.
    if (++inARow >= LEAST_CALLS && circuit.closed) circuit.open();
  };
  circuit.on('open', moved).on('halfOpen', moved).on('close', moved);
  circuit.on('success', () => (inARow = 0));
  // A call that timed out is told as a failure, too.
  circuit.on('failure', failed);

  return {
    name,
    async run<T>(work: () => Promise<T>): Promise<T> {
      if (forced) throw new BreakerRefusal('breaker_open', `${name}: an operator opened the circuit breaker`);
      try {
        return (await circuit.fire(work)) as T;
      } catch (error) {
        throw refusalOf(name, error);
      }
    },
    stats() {
      const { successes, failures, timeouts, rejects, semaphoreRejections } = circuit.stats;
      return {
        state: state(),
        forced,
        requests: successes + failures,
        successes,
        // A call that timed out is among the failures.
        failures: Math.max(failures, timeouts),
        rejected: rejects + semaphoreRejections,
        lastFailure,
      };
    },
    force(order) {
      forced = order === 'open';
      if (order === 'reset') {
        circuit.close();
        lastFailure = null;
      }
      moved();
    },
    onMove(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    [Symbol.asyncDispose]() {
      circuit.shutdown();
      return Promise.resolve();
    },
  };
}

const isLate = (error: unknown): boolean =>
  error instanceof Error && (error as NodeJS.ErrnoException).code === 'ETIMEDOUT';

/** What opossum says of calls that it did not make, in our words; anything else is the call's own error. */
function refusalOf(name: string, error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EOPENBREAKER':
      return new BreakerRefusal('breaker_open', `${name}: the circuit breaker is open`, { cause: error });
    case 'ESEMLOCKED':
      return new BreakerRefusal('breaker_full', `${name}: too many calls are under way`, { cause: error });
    default:
      return error;
  }
}
