import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { DefaultLogger, NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import type { Log } from '../observability/log.ts';
import { activityInterceptors, traceSinks } from './temporal-traces.ts';
import type { TemporalSettings } from './temporal.ts';

/** Open workflows are at most 100 per worker (WORKFLOW_WINDOW); a few more keep the cache from thrashing. */
const MAX_CACHED_WORKFLOWS = 120;
/** Quick transactions; the pool is the true bound. */
const ATTEST_PARALLEL = 20;
/** Cancellation reaches an activity with its next heartbeat, so heartbeats are not held back longer than this. */
const HEARTBEAT_THROTTLE_MS = 2_000;
/** How long a stopping worker lets activities hand back what they hold. */
const SHUTDOWN_GRACE_MS = 5_000;
const SHUTDOWN_FORCE_MS = 20_000;
const CONNECT_TIMEOUT_MS = 10_000;

export interface WorkerQueue {
  /** `beacon`: workflows and `attest`. `backend-<kind>`: `execute` of that backend. */
  name: string;
  activities: object;
  /** Activities at once; the default suits quick ones. */
  parallel?: number;
}

const here = path.dirname(fileURLToPath(import.meta.url));
const BUNDLE = path.join(here, '..', 'workflow-bundle.js');
const SOURCES = path.join(here, '..', 'workflows', 'index.ts');
const INTERCEPTORS = path.join(here, '..', 'workflows', 'trace-context.ts');

/** The bundle of the build; sources are bundled on the fly, which is how tests run. */
function workflowOptions(): Partial<WorkerOptions> {
  const shared = { sinks: traceSinks, maxCachedWorkflows: MAX_CACHED_WORKFLOWS };
  if (existsSync(BUNDLE)) return { ...shared, ...traced(), workflowBundle: { codePath: BUNDLE } };
  return { ...shared, ...traced({ workflowModules: [INTERCEPTORS] }), workflowsPath: SOURCES };
}

const traced = (more: WorkerOptions['interceptors'] = {}): Pick<WorkerOptions, 'interceptors'> => ({
  interceptors: { ...more, activity: [activityInterceptors] },
});

let runtimeInstalled = false;

/** Temporal's own log lines go through ours; once per process, before the first connection. */
function installRuntime(log: Log, metricsAddress: string | undefined): void {
  if (runtimeInstalled) return;
  runtimeInstalled = true;
  const levels = { TRACE: 'trace', DEBUG: 'debug', INFO: 'debug', WARN: 'warn', ERROR: 'error' } as const;
  Runtime.install({
    logger: new DefaultLogger('INFO', ({ level, message, meta }) => {
      log[levels[level]]({ ...meta, component: 'temporal' }, message);
    }),
    shutdownSignals: [],
    telemetryOptions:
      metricsAddress === undefined ? {} : { metrics: { prometheus: { bindAddress: metricsAddress } } },
  });
}

export interface TemporalWorkers extends AsyncDisposable {
  /** Settles when a worker ends; rejects when it failed. */
  ended: Promise<void>;
  /** Queues whose worker does not run (any more, or yet). */
  idleQueues(): string[];
}

/** Runs one Temporal worker per queue until disposed; disposing drains: nothing new is taken, what runs is handed back. */
export async function startTemporalWorkers(
  temporal: TemporalSettings,
  queues: readonly WorkerQueue[],
  log: Log,
): Promise<TemporalWorkers> {
  installRuntime(log, temporal.metricsAddress);
  const connection = await connect(temporal.address);
  const workers: Worker[] = [];
  try {
    for (const queue of queues) {
      const isWorkflowQueue = queue.name === 'beacon';
      workers.push(
        await Worker.create({
          connection,
          namespace: temporal.namespace,
          taskQueue: temporal.taskQueue.replace(/beacon$/, queue.name),
          activities: queue.activities,
          ...(isWorkflowQueue ? workflowOptions() : traced()),
          maxConcurrentActivityTaskExecutions: queue.parallel ?? ATTEST_PARALLEL,
          maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
          defaultHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
          shutdownGraceTime: SHUTDOWN_GRACE_MS,
          shutdownForceTime: SHUTDOWN_FORCE_MS,
        }),
      );
    }
  } catch (error) {
    await connection.close();
    throw error;
  }
  const running = workers.map((worker) => worker.run());
  const ended = Promise.all(running).then(() => undefined);
  ended.catch(() => undefined);
  return {
    ended,
    idleQueues: () =>
      workers.filter((worker) => worker.getState() !== 'RUNNING').map(({ options }) => options.taskQueue),
    async [Symbol.asyncDispose]() {
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
      await Promise.allSettled(running);
      await connection.close();
    },
  };
}

class TemporalAway extends Error {
  override name = 'TemporalAway';
  readonly code = 'temporal_away';
}

/** The native client tells why only in the text of its own errors. */
const REASONS = [
  ['ConnectionRefused', 'nothing listens there'],
  ['dns error', 'there is no such host'],
  ['HostUnreachable', 'the host cannot be reached'],
  ['NetworkUnreachable', 'the network cannot be reached'],
] as const;

/** The native client has no time-out of its own for the first contact. */
async function connect(address: string): Promise<NativeConnection> {
  const connection = NativeConnection.connect({ address });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new TemporalAway(`no answer from Temporal at ${address} in ${CONNECT_TIMEOUT_MS} ms`)),
      CONNECT_TIMEOUT_MS,
    );
  });
  try {
    return await Promise.race([connection, late]);
  } catch (cause) {
    if (cause instanceof TemporalAway) throw cause;
    const why =
      REASONS.find(([sign]) => String(cause).includes(sign))?.[1] ?? 'what answers there is not Temporal';
    throw new TemporalAway(`Temporal at ${address} (TEMPORAL_ADDRESS): ${why}`, { cause });
  } finally {
    clearTimeout(timer);
  }
}
