import { Counter, Gauge, Registry } from 'prom-client';
import { readGauges } from '../store/metrics.ts';
import type { Gauges } from '../store/metrics.ts';
import type { Pool } from '../store/pool.ts';
import { readPublishBacklog, type PublishBacklog } from '../store/publications.ts';
import type { Log } from './log.ts';
import { mergeMetrics } from './merge.ts';
import type { MetricJson } from './merge.ts';
import type { Metrics } from './metrics.ts';
import type { Snapshots } from './snapshots.ts';

/** However often it is scraped, the database is asked once in this time (spec: core §12). */
const CACHE_MS = 2_000;

export interface MetricsPageDeps {
  pool: Pool;
  metrics: Metrics;
  snapshots: Snapshots;
  log: Log;
  cacheMs?: number;
}

export interface MetricsPage {
  /** Prometheus text: all processes' counts, what the database knows, and this process's own. Never rejects. */
  render(): Promise<string>;
  readonly contentType: string;
}

interface FromDatabase {
  generation: string;
  others: MetricJson[][];
  gauges: string;
}

export function createMetricsPage({
  pool,
  metrics,
  snapshots,
  log,
  cacheMs = CACHE_MS,
}: MetricsPageDeps): MetricsPage {
  let last: FromDatabase | undefined;
  let readAt = -Infinity;
  let reading: Promise<FromDatabase> | undefined;

  async function read(): Promise<FromDatabase> {
    const others = await snapshots.others();
    const { generation } = snapshots;
    const gauges = await gaugesText(await readGauges(pool), await readPublishBacklog(pool));
    last = { generation, others, gauges };
    readAt = performance.now();
    return last;
  }

  /** Without the database: counters as last seen, since a counter that falls looks like a restart; no gauges. */
  async function fromDatabase(): Promise<Pick<FromDatabase, 'others' | 'gauges'>> {
    if (last?.generation === snapshots.generation && performance.now() - readAt < cacheMs) return last;
    try {
      reading ??= read().finally(() => (reading = undefined));
      return await reading;
    } catch (error) {
      log.warn({ err: error }, 'metrics cannot be read from the database');
      return { others: last?.others ?? [], gauges: '' };
    }
  }

  return {
    contentType: Registry.PROMETHEUS_CONTENT_TYPE,
    async render() {
      const { others, gauges } = await fromDatabase();
      const counted = mergeMetrics([await snapshots.mine(), ...others]);
      return [await counted.metrics(), gauges, await metrics.own.metrics()]
        .filter((text) => text !== '')
        .join('\n');
    },
  };
}

async function gaugesText(gauges: Gauges, backlogs: readonly PublishBacklog[]): Promise<string> {
  const registers = [new Registry()];
  const gauge = (name: string, help: string, value: number) =>
    new Gauge({ name, help, registers }).set(value);
  const counter = (name: string, help: string) =>
    new Counter({ name, help, registers }).inc(gauges.counters[name] ?? 0);

  counter('jobs_enqueued_total', 'Jobs accepted.');
  counter('jobs_processed_total', 'Jobs that ended completed.');
  counter('jobs_failed_total', 'Jobs that ended failed or expired.');
  counter('jobs_cancelled_total', 'Jobs that ended cancelled.');
  gauge(
    'outbox_unpublished_count',
    'Jobs that Temporal was not told of, or did not begin.',
    gauges.outboxUnpublished,
  );
  gauge('outbox_oldest_unpublished_age_seconds', 'Age of the oldest of them.', gauges.outboxOldestAgeSeconds);
  gauge('transparency_outbox_unpublished_count', 'Entries that wait for the log.', gauges.logPending);
  gauge(
    'transparency_outbox_oldest_unpublished_age_seconds',
    'Age of the oldest of them.',
    gauges.logPendingOldestAgeSeconds,
  );
  gauge('feed_unpositioned_count', 'Events that have no place in the feed yet.', gauges.feedUnpositioned);
  gauge('feed_oldest_unpositioned_age_seconds', 'Age of the oldest of them.', gauges.feedOldestAgeSeconds);
  gauge('ipfs_storage_bytes_total', 'Bytes on disk of blocks and files.', gauges.storageBytes);
  const unpublished = new Gauge({
    name: 'ipfs_unpublished_count',
    help: 'Trees that a place outside is to pin and has not.',
    labelNames: ['target'],
    registers,
  });
  const oldest = new Gauge({
    name: 'ipfs_oldest_unpublished_age_seconds',
    help: 'Age of the oldest of them.',
    labelNames: ['target'],
    registers,
  });
  for (const { target, unpublished: count, oldestAgeSeconds } of backlogs) {
    unpublished.set({ target }, count);
    oldest.set({ target }, oldestAgeSeconds);
  }
  // A log of size zero would be an alarm; no log yet is none.
  if (gauges.logSize !== null) gauge('transparency_log_size', 'Entries in the log.', gauges.logSize);
  if (gauges.logPublishedSize !== null)
    gauge('transparency_log_published_size', 'Entries of the log that are shown.', gauges.logPublishedSize);
  if (gauges.logFreshnessAgeSeconds !== null)
    gauge(
      'transparency_freshness_age_seconds',
      "Since the operator's own cosigner last said that the newest checkpoint is the newest.",
      gauges.logFreshnessAgeSeconds,
    );
  return registers[0]!.metrics();
}
