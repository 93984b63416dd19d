import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testDatabase, type TestDatabase } from '../test/support/postgres.ts';
import { createBusinessEvents } from './events.ts';
import { createLogger } from './log.ts';
import { createMetrics } from './metrics.ts';
import { createMetricsPage } from './page.ts';
import { startSnapshots } from './snapshots.ts';

type Fate = { type: 'counter' | 'gauge' | 'histogram'; labels: readonly string[] } | { never: string };

const counter = (...labels: string[]): Fate => ({ type: 'counter', labels });
const gauge = (...labels: string[]): Fate => ({ type: 'gauge', labels });
const histogram = (...labels: string[]): Fate => ({ type: 'histogram', labels });

/** Every metric that the older service names (spec: beacon §7.1), and what became of it. This list is the truth. */
const CONTRACT: Record<string, Fate> = {
  http_requests_total: counter('path', 'method', 'status'),
  http_request_duration_seconds: histogram('path', 'method'),
  outbox_published_total: counter(),
  outbox_publish_errors_total: counter(),
  outbox_unpublished_count: gauge(),
  outbox_oldest_unpublished_age_seconds: gauge(),
  jobs_enqueued_total: counter(),
  jobs_processed_total: counter(),
  jobs_failed_total: counter(),
  jobs_retried_total: counter(),
  jobs_deadletter_total: counter(),
  websocket_connections: gauge(),
  websocket_messages_broadcast_total: counter(),
  websocket_messages_dropped_total: counter(),
  runner_execution_duration_seconds: histogram('region', 'status'),
  runner_failures_total: counter('region', 'error_type', 'component'),
  runner_queue_latency_seconds: histogram('region'),
  negotiation_offers_seen_total: counter('region'),
  negotiation_offers_matched_p0p2_total: counter('region'),
  negotiation_offers_p3_total: counter('region'),
  negotiation_probes_passed_total: counter('region'),
  negotiation_probes_failed_total: counter('region'),
  negotiation_duration_seconds: histogram('region', 'outcome'),
  memory_heap_alloc_bytes: gauge(),
  memory_heap_sys_bytes: gauge(),
  gc_pause_duration_seconds: gauge(),
  memory_stack_inuse_bytes: { never: 'Node does not tell' },
  goroutine_count: { never: 'there are no goroutines' },
  beacon_execution_duplicates_detected_total: { never: 'labels without bound; a duplicate cannot be stored' },
  beacon_execution_duplicates_allowed_total: { never: 'labels without bound; a duplicate cannot be stored' },
};

/** These are measured first: an empty database has no log, and so no size of it. */
const MEASURED_LATER = [
  'transparency_log_size',
  'transparency_log_published_size',
  'transparency_freshness_age_seconds',
];

interface Family {
  type: string;
  /** Label names of each series but `le`. */
  labels: string[][];
}

const log = createLogger('test', 'silent');
let db: TestDatabase;
let families: Map<string, Family>;
let text: string;

beforeAll(async () => {
  db = await testDatabase();
  const start = (role: string) => {
    const metrics = createMetrics();
    const timing = { publishEveryMs: 3_600_000, silentMs: 3_600_000 };
    return { metrics, snapshots: startSnapshots({ pool: db.pool, metrics, role, log, ...timing }) };
  };
  const [api, worker] = [start('api'), start('worker')];
  await using _api = api.snapshots;
  await using _worker = worker.snapshots;
  // What the worker counts must stand on the API's page.
  const events = createBusinessEvents(log, worker.metrics);
  events.httpAnswered({ path: '/api/v1/jobs', method: 'POST', status: 202, seconds: 0.004 });
  events.logAudited({ logId: 'l', size: 1, valid: true });
  for (const durationMs of [10, 1_800_000])
    events.executionEnded({ executionId: 'e', jobId: 'j', region: 'EU', outcome: 'completed', durationMs });
  await worker.snapshots.publish();
  const { metrics, snapshots } = api;
  const page = createMetricsPage({ pool: db.pool, metrics, snapshots, log, cacheMs: 0 });
  text = await page.render();
  families = read(text);
});
afterAll(() => db[Symbol.asyncDispose]());

function read(exposition: string): Map<string, Family> {
  const found = new Map<string, Family>();
  for (const line of exposition.split('\n')) {
    const [, name, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
    if (name !== undefined) found.set(name, { type: type!, labels: [] });
    const [, series, labels = ''] = /^([a-z_0-9]+)(?:\{([^}]*)\})? /.exec(line) ?? [];
    if (series === undefined) continue;
    const family = found.get(series) ?? found.get(series.replace(/_(bucket|sum|count)$/, ''));
    const names = [...labels.matchAll(/(\w+)="/g)].map(([, label]) => label!);
    family!.labels.push(names.filter((label) => label !== 'le'));
  }
  return found;
}

describe('of the metrics that the older service names', () => {
  test.each(Object.entries(CONTRACT))('%s', (name, fate) => {
    const family = families.get(name);
    if (!('type' in fate)) {
      expect(family).toBeUndefined();
      return;
    }
    expect(family?.type).toBe(fate.type);
    expect(family!.labels.length).toBeGreaterThan(0);
    for (const labels of family!.labels) expect(labels.toSorted()).toEqual([...fate.labels].sort());
  });
});

test.each(['runner_execution_duration_seconds', 'runner_queue_latency_seconds'])(
  'the buckets of %s tell 10 ms from half an hour, and both from more',
  (name) => {
    const bounds = [...text.matchAll(new RegExp(`^${name}_bucket\\{le="([^"]+)",region="EU"`, 'gm'))].map(
      ([, bound]) => Number(bound!.replace('+Inf', 'Infinity')),
    );
    const finite = [...new Set(bounds)].filter(Number.isFinite).sort((a, b) => a - b);
    expect([finite[0], finite.at(-1)]).toEqual([0.01, 1_800]);
    // A quantile is guessed between two bounds: none is more than three times the one before.
    finite.slice(1).forEach((bound, i) => expect(bound / finite[i]!).toBeLessThanOrEqual(3));
  },
);

describe('docs/observability.md', () => {
  const page = readFileSync(path.join(import.meta.dirname, '../docs/observability.md'), 'utf8');
  const [here, gone] = page.split('Names of the older service that are not here');
  const named = (part: string): string[] =>
    [...part.matchAll(/^\| (.*?) \|/gm)].flatMap(([, cell]) =>
      [...cell!.matchAll(/`([a-z_*0-9]+)`/g)].map(([, name]) => name!),
    );

  test('has a row for each metric there is, and for nothing else', () => {
    const there = [...families.keys()].filter((name) => !/^(process|nodejs)_/.test(name));
    expect(named(here!).toSorted()).toEqual([...there, ...MEASURED_LATER].sort());
  });

  test('says of each older name that is not here why', () => {
    const patterns = named(gone!).map((name) => new RegExp(`^${name.replaceAll('*', '.*')}$`));
    for (const [name, fate] of Object.entries(CONTRACT))
      expect([name, patterns.some((pattern) => pattern.test(name))]).toEqual([name, !('type' in fate)]);
  });
});

test('alerts ask for metrics that there are, and each has its section in the runbook', () => {
  const root = path.join(import.meta.dirname, '..');
  const rules = readFileSync(path.join(root, 'observability/prometheus/alerts.yaml'), 'utf8');
  const runbook = readFileSync(path.join(root, 'docs/runbook.md'), 'utf8');
  const known = new Set(['up', ...MEASURED_LATER, ...families.keys()]);
  const asked = [
    ...rules.matchAll(
      /\b((?:http|ipfs|jobs|outbox|runner|feed|websocket|transparency|memory|golem|negotiation|circuit)_[a-z_0-9]+)\b/g,
    ),
  ].map(([, name]) => name!.replace(/_bucket$/, ''));
  expect(asked.length).toBeGreaterThan(15);
  expect(asked.filter((name) => !known.has(name))).toEqual([]);
  const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name!);
  const sections = [...runbook.matchAll(/^## (.+)$/gm)].flatMap(([, names]) => names!.split(', '));
  expect(alerts.filter((name) => !sections.includes(name))).toEqual([]);
});
