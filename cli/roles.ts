import { createLogger } from '../observability/log.ts';
import { withoutForeignKeys } from '../config/role-keys.ts';
import { doubts } from '../config/doubts.ts';
import { readSettings } from '../config/settings.ts';
import { requireTraceFiles, traceEndpoint } from '../config/tracing.ts';
import { software } from '../config/software.ts';
import type { Values } from '../config/variables.ts';
import type { Log } from '../observability/log.ts';

export interface RoleOptions {
  /** Only these task queues; default all that this worker can serve. */
  queues?: string[];
  env: NodeJS.ProcessEnv;
  /** Aborted = drain and return. */
  signal: AbortSignal;
}

/** Runs one role until `signal` is aborted or its supervisor is gone; tells the supervisor when it does its work. */
export async function runRole(
  name: 'serve' | 'worker' | 'relay' | 'migrate',
  options: RoleOptions,
): Promise<void> {
  const given = readSettings(options.env);
  const log = createLogger(name === 'serve' ? 'api' : name, given.LOG_LEVEL, {
    traced: traceEndpoint(given) !== null,
  });
  if (given.REDIS_URL !== null) log.info('REDIS_URL is set and unused: Temporal is the queue');
  for (const said of doubts(options.env)) log.warn(said);
  if (name === 'migrate') {
    const { migrateDatabase } = await import('./roles/migrate.ts');
    return migrateDatabase(given, log);
  }
  const role = name === 'serve' ? 'api' : name;
  const { settings, ignored } = withoutForeignKeys(role, given);
  if (ignored.length > 0) {
    log.warn(
      { ignored },
      'a key that this role does not sign with is set and ignored; take it out of its environment',
    );
  }
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  // Under `beacon up` the channel to the supervisor closes when that is killed: then nobody would restart or stop us.
  process.once('disconnect', () => stop.abort());
  const traces = await startTraces(role, settings, log);
  try {
    await runUntil(signal, name, settings, log, options.queues);
  } finally {
    // Last, so that what the role still does while it ends is told as well.
    await traces?.[Symbol.asyncDispose]();
  }
}

async function runUntil(
  signal: AbortSignal,
  name: 'serve' | 'worker' | 'relay',
  settings: Values,
  log: Log,
  queues: readonly string[] | undefined,
): Promise<void> {
  const role =
    name === 'serve'
      ? await (await import('./roles/api.ts')).startApiRole(settings, log)
      : name === 'worker'
        ? await (await import('../worker/worker-role.ts')).startWorkerRole(settings, log, queues)
        : await (await import('../worker/relay-role.ts')).startRelayRole(settings, log);
  try {
    process.send?.({ ready: true, ...('url' in role ? { url: role.url } : {}) });
    log.info('url' in role ? { url: role.url } : {}, `${name} ready`);
    await Promise.race([aborted(signal), role.failed]);
  } finally {
    log.info(`${name} draining`);
    await role[Symbol.asyncDispose]();
  }
}

/** OpenTelemetry is loaded only where traces go somewhere; before anything that is traced begins. */
async function startTraces(role: string, settings: Values, log: Log): Promise<AsyncDisposable | undefined> {
  const endpoint = traceEndpoint(settings);
  if (endpoint === null) return undefined;
  requireTraceFiles(settings);
  const { startTracing } = await import('../observability/otel/start.ts');
  return startTracing({ role, version: software.version, endpoint, log });
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
