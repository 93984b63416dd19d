import { randomUUID } from 'node:crypto';
import type { Breaker } from '../backends/golem/breaker.ts';
import { pause } from '../domain/pause.ts';
import type { BusinessEvents } from '../observability/events.ts';
import type { Log } from '../observability/log.ts';
import { forgetBreaker, reportBreaker } from '../store/breakers.ts';
import type { Pool } from '../store/pool.ts';
import { runLoop } from './loop.ts';

/** How soon a move is seen in health, and an operator's order is followed. */
const REPORT_EVERY_MS = 1_000;

export interface BreakerReportsOptions {
  pool: Pool;
  breaker: Breaker;
  events: Pick<BusinessEvents, 'breakerMoved'>;
  log: Log;
  everyMs?: number;
}

/** Tells the shared rows how this process's breaker stands, and follows what an operator orders there. */
export function startBreakerReports(options: BreakerReportsOptions): AsyncDisposable {
  const { pool, breaker, events, log, everyMs = REPORT_EVERY_MS } = options;
  const { name } = breaker;
  const process = randomUUID();
  let followed: number | undefined;
  const unwatch = breaker.onMove((from, to) => events.breakerMoved({ name, from, to }));
  const loop = runLoop({
    name: `circuit breaker ${name}`,
    wait: (signal) => pause(everyMs, signal),
    async step() {
      const order = await reportBreaker(pool, { name, process, ...breaker.stats() });
      const isFirst = followed === undefined;
      const version = order?.version ?? 0;
      if (version === (followed ??= version) && !isFirst) return false;
      followed = version;
      // Whoever starts later is bound by an order to stay open, not by one to close what was open long ago.
      if (order === undefined || (isFirst && order.action === 'reset')) return false;
      breaker.force(order.action);
      return true;
    },
    failed: (error) => log.warn({ err: error }, 'the state of a circuit breaker could not be told'),
  });
  return {
    async [Symbol.asyncDispose]() {
      unwatch();
      await loop[Symbol.asyncDispose]();
      await forgetBreaker(pool, name, process).catch(() => undefined);
    },
  };
}
