/** What every process of a role has: pool, notices, metrics, and the order in which its parts end. */
import path from 'node:path';
import { SettingsError } from '../config/settings.ts';
import type { Values } from '../config/variables.ts';
import { createBusinessEvents, type BusinessEvents } from '../observability/events.ts';
import type { Log } from '../observability/log.ts';
import { createMetrics } from '../observability/metrics.ts';
import { createMetricsPage } from '../observability/page.ts';
import { startSnapshots } from '../observability/snapshots.ts';
import { createNotifier, createWakeups, type Notifier, type Wakeups } from '../store/notify.ts';
import { createPool, type Pool } from '../store/pool.ts';
import type { TemporalSettings } from './temporal.ts';

/** A role under way; disposing drains it. */
export interface Role extends AsyncDisposable {
  /** Rejects when the role cannot go on. */
  failed: Promise<never>;
}

/** What every process has. */
export interface Process {
  pool: Pool;
  notifier: Notifier;
  wakeups: Wakeups;
  events: BusinessEvents;
  renderMetrics(): Promise<{ contentType: string; body: string }>;
  /** What is about this process alone. */
  renderOwnMetrics(): Promise<{ contentType: string; body: string }>;
  /** Hands a part over: it is disposed with the role, last made first. */
  use<T extends AsyncDisposable>(part: T): T;
  role: Role;
  fail(error: unknown): void;
}

export function requireDatabaseUrl(settings: Values): string {
  if (settings.DATABASE_URL === null) {
    throw new SettingsError(
      'DATABASE_URL is not set: name a PostgreSQL, or use `beacon up`, which brings one',
    );
  }
  return settings.DATABASE_URL;
}

export function requireTemporal(settings: Values): TemporalSettings {
  if (settings.TEMPORAL_ADDRESS === null) {
    throw new SettingsError(
      'TEMPORAL_ADDRESS is not set: name a Temporal service, or use `beacon up`, which brings one',
    );
  }
  return {
    address: settings.TEMPORAL_ADDRESS,
    namespace: settings.TEMPORAL_NAMESPACE ?? 'default',
    taskQueue: settings.TEMPORAL_TASK_QUEUE,
    metricsAddress: settings.TEMPORAL_METRICS_ADDRESS ?? undefined,
  };
}

/** What a role waits for. */
const CHANNELS_OF = { api: ['feed'], worker: [], relay: ['outbox', 'log', 'events'] } as const;
/** Under load intake commits a batch every few milliseconds: one wake-up stands for several. */
const API_COALESCE_MS = 20;

export async function composeProcess(
  role: 'api' | 'worker' | 'relay',
  settings: Values,
  log: Log,
): Promise<Process> {
  const databaseUrl = requireDatabaseUrl(settings);
  const parts: AsyncDisposable[] = [];
  const use = <T extends AsyncDisposable>(part: T): T => {
    parts.push(part);
    return part;
  };
  let fail: (error: unknown) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => undefined);
  const pool = createPool({
    databaseUrl,
    max: settings.DATABASE_POOL,
    name: role,
    fixedPlans: role === 'worker',
  });
  use({ [Symbol.asyncDispose]: () => pool.end() });
  const notifier = use(createNotifier(pool, role === 'api' ? { coalesceMs: API_COALESCE_MS } : {}));
  const wakeups = use(await createWakeups(databaseUrl, { channels: CHANNELS_OF[role] }));
  const metrics = createMetrics();
  const snapshots = use(startSnapshots({ pool, metrics, role, log }));
  const page = createMetricsPage({ pool, metrics, snapshots, log });
  return {
    pool,
    notifier,
    wakeups,
    events: createBusinessEvents(log, metrics),
    renderMetrics: async () => ({ contentType: page.contentType, body: await page.render() }),
    renderOwnMetrics: async () => ({ contentType: page.contentType, body: await metrics.own.metrics() }),
    use,
    fail,
    role: {
      failed,
      async [Symbol.asyncDispose]() {
        for (let part = parts.pop(); part !== undefined; part = parts.pop())
          await part[Symbol.asyncDispose]();
      },
    },
  };
}

/** Where a key of this process lies. */
export const keyFile = (settings: Values, name: string): string =>
  path.join(settings.BEACON_STATE ?? '.beacon', 'keys', name);
