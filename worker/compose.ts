/** The one place where the roles' dependencies are made: what a role is, is what it is given here. */
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { createAttestActivities } from '../activities/attest.ts';
import { createAttester, type Attester } from '../activities/attester.ts';
import { createExecuteActivities } from '../activities/execute.ts';
import { createPublishActivities } from '../activities/publish.ts';
import { readOwnKeys } from '../attestation/log/signers.ts';
import { startSigning } from '../attestation/receipt/signing.ts';
import { createPublisher } from '../attestation/publish/publisher.ts';
import { openTargets } from '../attestation/publish/targets.ts';
import type { Backend } from '../backends/backend.ts';
import {
  createLocalBackend,
  defaultEngineSockets,
  localSettings,
  programDigests,
  shippedProgramsFolder,
} from '../backends/local/index.ts';
import { publishSettings, publishTargetNames } from '../config/publish.ts';
import { software } from '../config/software.ts';
import { SettingsError } from '../config/settings.ts';
import type { Values } from '../config/variables.ts';
import { createBusinessEvents, type BusinessEvents } from '../observability/events.ts';
import type { Log } from '../observability/log.ts';
import { createMetrics } from '../observability/metrics.ts';
import { createMetricsPage } from '../observability/page.ts';
import { startSnapshots } from '../observability/snapshots.ts';
import { createNotifier, createWakeups, type Notifier, type Wakeups } from '../store/notify.ts';
import { createPool, type Pool } from '../store/pool.ts';
import { readTrustMode } from '../store/trust-mode.ts';
import { isAttemptLive } from '../store/work.ts';
import { startBlobSweep } from './blob-sweep.ts';
import { startFeedPositions } from './feed-positions.ts';
import { startLogAudit } from './log-audit.ts';
import { startLogSequencer } from './log-sequencer.ts';
import { startPublishSchedules } from './publish-schedules.ts';
import { startReconciler } from './reconciler.ts';
import { startRelay } from './relay.ts';
import { loopCheck, queuesCheck, sequencerCheck, showHealth } from './role-health.ts';
import { createWorkflowStarter, type TemporalSettings } from './temporal.ts';
import { startTemporalWorkers } from './temporal-workers.ts';

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

function requireTemporal(settings: Values): TemporalSettings {
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
  const notifier = use(createNotifier(pool));
  const wakeups = use(await createWakeups(databaseUrl));
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

const keyFile = (settings: Values, name: string): string =>
  path.join(settings.BEACON_STATE ?? '.beacon', 'keys', name);

/** `beacon worker`: Temporal workers for the queues named, default all that this machine can serve. */
export async function startWorkerRole(
  settings: Values,
  log: Log,
  queues?: readonly string[],
  openBackend = localBackend,
): Promise<Role> {
  const temporal = requireTemporal(settings);
  const process = await composeProcess('worker', settings, log);
  try {
    const { pool, notifier, events } = process;
    const serves = (queue: string): boolean => queues === undefined || queues.includes(queue);
    const workers = [];
    let attester: Attester | undefined;
    if (serves('beacon')) {
      const signing = process.use(
        await startSigning({
          pool,
          source: {
            pem: settings.BEACON_RECEIPT_KEY_PEM ?? undefined,
            file: keyFile(settings, 'receipt.pem'),
          },
          origin: settings.LOG_ORIGIN ?? undefined,
          log,
        }),
      );
      notifier.notify('log');
      attester = createAttester({
        pool,
        signing,
        software,
        events,
        committed() {
          notifier.notify('events');
          notifier.notify('log');
        },
      });
      workers.push({ name: 'beacon', activities: createAttestActivities(attester) });
    }
    if (serves('backend-local')) {
      const backends = new Map<string, Backend>([['local', await openBackend(settings, pool, log)]]);
      workers.push({
        name: 'backend-local',
        activities: createExecuteActivities({
          pool,
          backends,
          attester,
          events,
          committed: () => notifier.notify('events'),
        }),
        parallel:
          settings.LOCAL_CONCURRENCY === 0 ? Math.max(2, availableParallelism()) : settings.LOCAL_CONCURRENCY,
      });
    }
    const publishing = publishSettings(settings);
    if (serves('publish') && publishTargetNames(publishing).length > 0) {
      const publisher = createPublisher({
        pool,
        targets: openTargets(publishing),
        replication: publishing.replication,
        events,
        committed: () => notifier.notify('events'),
      });
      workers.push({ name: 'publish', activities: createPublishActivities(publisher) });
    }
    const running = process.use(await startTemporalWorkers(temporal, workers, log));
    running.ended.catch(process.fail);
    await showHealth(process, settings, log, [queuesCheck(running)]);
    return process.role;
  } catch (error) {
    await process.role[Symbol.asyncDispose]();
    throw error;
  }
}

/** In LOCAL_PROCESS_DIGESTS: the programs that come with Beacon. */
const SHIPPED = 'shipped';

async function localBackend(settings: Values, pool: Pool, log: Log): Promise<Backend> {
  const listed = settings.LOCAL_PROCESS_DIGESTS;
  if (listed.length > 0 && settings.ALLOW_OPEN_TRUST && !settings.TRUST_ENFORCE) {
    throw new SettingsError(
      'LOCAL_PROCESS_DIGESTS: bare processes are refused while ALLOW_OPEN_TRUST lets anybody submit',
    );
  }
  const api = await readTrustMode(pool);
  if (listed.length > 0 && api?.open === true && !api.loopback_only) {
    throw new SettingsError(
      'LOCAL_PROCESS_DIGESTS: bare processes are refused while the API takes jobs of any key from other machines; set TRUST_ENFORCE there and start it again',
    );
  }
  const shipped = listed.includes(SHIPPED)
    ? Object.values(await programDigests(shippedProgramsFolder()))
    : [];
  const backend = createLocalBackend(
    localSettings({
      stateFolder: settings.BEACON_REACHABLE ?? settings.BEACON_STATE ?? '.beacon',
      isolation: settings.LOCAL_ISOLATION,
      engineSockets: defaultEngineSockets(settings),
      region: settings.LOCAL_REGION,
      imageFolders: settings.LOCAL_IMAGE_FOLDERS,
      cpuSeconds: settings.LOCAL_CPU_SECONDS === 0 ? null : settings.LOCAL_CPU_SECONDS,
      processDigests: [...listed.filter((digest) => digest !== SHIPPED), ...shipped],
      hostUserlandImages: settings.LOCAL_HOST_USERLAND,
    }),
    { log },
  );
  await backend.reap?.((name) => isAttemptLive(pool, name));
  return backend;
}

/** `beacon relay`: outbox, log sequencer, feed positions, reconciler. Any number may run. */
export async function startRelayRole(settings: Values, log: Log): Promise<Role> {
  const temporalSettings = requireTemporal(settings);
  const process = await composeProcess('relay', settings, log);
  try {
    const { pool, notifier, wakeups, events } = process;
    const temporal = process.use(createWorkflowStarter(temporalSettings));
    const positions = process.use(startFeedPositions({ pool, notifier, wakeups, log }));
    const { sequencer, logHead, logKeys } = await startLogSequencer(
      process,
      requireDatabaseUrl(settings),
      settings,
      log,
    );
    const relay = process.use(
      startRelay({ pool, wakeups, temporal, events, workflowWindow: settings.WORKFLOW_WINDOW }),
    );
    const reconciler = process.use(
      startReconciler({
        pool,
        notifier,
        temporal,
        log,
        everyMs: settings.RECONCILE_INTERVAL * 1_000,
        absentForMs: settings.RECONCILE_ABSENCE * 1_000,
      }),
    );
    const audit = process.use(
      startLogAudit({
        pool,
        logId: logHead.logId,
        keys: () => readOwnKeys(pool, logHead.logId, logKeys),
        events,
        log,
        everyMs: settings.AUDIT_INTERVAL * 1_000,
      }),
    );
    const sweep = process.use(startBlobSweep({ pool, log }));
    const publishing = publishSettings(settings);
    const schedules = process.use(
      startPublishSchedules({
        temporal: temporalSettings,
        targets: publishTargetNames(publishing),
        everyMs: publishing.everyMs,
        log,
      }),
    );
    await showHealth(process, settings, log, [
      sequencerCheck(sequencer),
      ...[relay, positions, reconciler, audit, sweep, schedules].map(loopCheck),
    ]);
    return process.role;
  } catch (error) {
    await process.role[Symbol.asyncDispose]();
    throw error;
  }
}
