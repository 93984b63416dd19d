import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAttestActivities } from '../activities/attest.ts';
import { createAttester, type Attester } from '../activities/attester.ts';
import { createExecuteActivities } from '../activities/execute.ts';
import { createNegotiateActivities } from '../activities/negotiate.ts';
import { createSweepActivities } from '../activities/sweep.ts';
import { createPublishActivities } from '../activities/publish.ts';
import { createPublisher } from '../attestation/publish/publisher.ts';
import { openTargets } from '../attestation/publish/targets.ts';
import { startSigning } from '../attestation/receipt/signing.ts';
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
import type { Log } from '../observability/log.ts';
import type { Pool } from '../store/pool.ts';
import { readTrustMode } from '../store/trust-mode.ts';
import { isAttemptLive } from '../store/work.ts';
import { startBreakerReports } from './breaker-reports.ts';
import { openGolem } from './golem.ts';
import { keepHeapSmall } from './heap.ts';
import { composeProcess, keyFile, requireTemporal, type Role } from './process.ts';
import { queuesCheck, showHealth } from './role-health.ts';
import { startSweepSchedule } from './sweep-schedule.ts';
import { startTemporalWorkers } from './temporal-workers.ts';

/** What ended attempts owe is looked for so often. */
const SWEEP_EVERY_MS = 60_000;

/** `beacon worker`: Temporal workers for the queues named, default all that this machine can serve but Golem's. */
export async function startWorkerRole(
  settings: Values,
  log: Log,
  queues?: readonly string[],
  openBackend = localBackend,
): Promise<Role> {
  keepHeapSmall();
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
    // Never by itself: what this backend loads, and what may go wrong in it, is for a process of its own.
    if (queues?.includes('backend-golem') === true) {
      const { backend, books } = await openGolem(settings, pool, log);
      process.use(backend);
      const { breaker } = backend;
      process.use(startBreakerReports({ pool, breaker, events, log }));
      process.use(startSweepSchedule(temporal, SWEEP_EVERY_MS, log));
      const backends = new Map<string, Backend>([['golem', backend]]);
      const committed = (): void => notifier.notify('events');
      workers.push({
        name: 'backend-golem',
        activities: {
          ...createExecuteActivities({ pool, backends, attester, events, committed }),
          ...createNegotiateActivities({ pool, backends, events, committed }),
          ...createSweepActivities({ pool, backend: 'golem', books, events, committed }),
        },
        parallel: settings.GOLEM_CONCURRENCY + settings.GOLEM_NEGOTIATIONS,
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

/** An API that starts beside this worker has said within this how it takes jobs; before, the last one's word stands. */
const API_SAYS_MS = 5_000;
const LOOK_AGAIN_MS = 250;

/** The API takes jobs of any key from other machines, and did not just start to be another one. */
async function staysOpen(pool: Pool): Promise<boolean> {
  const until = performance.now() + API_SAYS_MS;
  for (;;) {
    const api = await readTrustMode(pool);
    if (api?.open !== true || api.loopback_only) return false;
    if (performance.now() > until) return true;
    await sleep(LOOK_AGAIN_MS);
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
  if (listed.length > 0 && (await staysOpen(pool))) {
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
