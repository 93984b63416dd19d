import { randomUUID } from 'node:crypto';
import { pause } from '../domain/pause.ts';
import { foldSilent, publishSnapshot, readBaseline, readSnapshots } from '../store/metrics.ts';
import type { Pool } from '../store/pool.ts';
import type { Log } from './log.ts';
import { countedSince, mergeMetrics, withoutGauges, withoutZeros } from './merge.ts';
import type { MetricJson } from './merge.ts';
import type { Metrics } from './metrics.ts';

/** How often a process publishes, and after which silence its counts are folded (spec: core §12). */
const PUBLISH_EVERY_MS = 5_000;
const SILENT_MS = 60_000;

export interface SnapshotsOptions {
  pool: Pool;
  metrics: Pick<Metrics, 'shared'>;
  role: string;
  log: Log;
  publishEveryMs?: number;
  silentMs?: number;
}

/**
 * What this process counted, published for whoever shows the metrics, and what the others published.
 *
 * A process's counts stand in its own row. Silent for a minute, it is folded: its counts move into the row `retired` and
 * its own row stays as their baseline. When it was only asleep, it finds that row, takes it as its baseline, and counts
 * on under a new name, so that nothing is counted twice or lost.
 */
export interface Snapshots extends AsyncDisposable {
  publish(): Promise<void>;
  /** This process's counts as they are now, without what stands in `retired` already; series at zero included. */
  mine(): Promise<MetricJson[]>;
  /** What all others published, and the retired counts. */
  others(): Promise<MetricJson[][]>;
  /** Changes when this process has a new baseline: what `others` gave before does not go with `mine` any more. */
  readonly generation: string;
}

/** Publishes every few seconds, and once more when disposed. */
export function startSnapshots(options: SnapshotsOptions): Snapshots {
  const { pool, metrics, role, log } = options;
  const { publishEveryMs = PUBLISH_EVERY_MS, silentMs = SILENT_MS } = options;
  const stop = new AbortController();
  let name = randomUUID();
  let baseline: MetricJson[] = [];

  async function mine(): Promise<MetricJson[]> {
    return countedSince(await metrics.shared.getMetricsAsJSON(), baseline);
  }

  async function rebase(): Promise<void> {
    const before = name;
    const folded = (await readBaseline(pool, before)) as MetricJson[] | undefined;
    // Somebody else in this process was faster.
    if (before !== name) return;
    baseline = await merged([baseline, withoutGauges(folded ?? [])]);
    name = randomUUID();
  }

  async function publishNow(): Promise<void> {
    const snapshot = JSON.stringify(withoutZeros(await mine()));
    if (await publishSnapshot(pool, { process: name, role, snapshot })) return;
    await rebase();
    await publishNow();
  }

  let last: Promise<void> = Promise.resolve();
  /** One after another, so that no older snapshot is written over a newer one. */
  function publish(): Promise<void> {
    const published = last.then(publishNow);
    last = published.catch(() => undefined);
    return published;
  }

  async function others(): Promise<MetricJson[][]> {
    const found = await readSnapshots(pool, name);
    if (!found.folded) return found.others as MetricJson[][];
    await rebase();
    return others();
  }

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        await publish();
        const folded = await foldSilent(pool, silentMs, (snapshots) =>
          merged((snapshots as MetricJson[][]).map(withoutGauges)),
        );
        if (folded.length > 0) log.info({ processes: folded.length }, 'metrics of silent processes folded');
      } catch (error) {
        log.warn({ err: error }, 'metrics could not be published');
      }
      await pause(publishEveryMs, stop.signal);
    }
  }

  const running = run();
  return {
    publish,
    mine,
    others,
    get generation() {
      return name;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
      await publish().catch((error: unknown) =>
        log.warn({ err: error }, 'last metrics could not be published'),
      );
    },
  };
}

async function merged(snapshots: readonly MetricJson[][]): Promise<MetricJson[]> {
  return mergeMetrics(snapshots).getMetricsAsJSON();
}
