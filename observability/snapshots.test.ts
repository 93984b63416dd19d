import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createPool } from '../store/pool.ts';
import { testDatabase } from '../test/support/postgres.ts';
import { createLogger } from './log.ts';
import { createMetrics } from './metrics.ts';
import { createMetricsPage } from './page.ts';
import { startSnapshots } from './snapshots.ts';

const log = createLogger('test', 'silent');
/** Loops of these processes must not act by themselves: the tests publish and fold when they want. */
const NEVER_MS = 3_600_000;

let db: Awaited<ReturnType<typeof testDatabase>>;
let processes: AsyncDisposable[] = [];
beforeEach(async () => {
  db = await testDatabase();
});
afterEach(async () => {
  await Promise.all(processes.map((process) => process[Symbol.asyncDispose]()));
  processes = [];
  await db[Symbol.asyncDispose]();
});

/** A process as it counts, publishes and shows; its first publish is done. */
async function startProcess(role: string, pool = db.pool) {
  const metrics = createMetrics();
  const timing = { publishEveryMs: NEVER_MS, silentMs: NEVER_MS };
  const snapshots = startSnapshots({ pool, metrics, role, log, ...timing });
  processes.push(snapshots);
  const page = createMetricsPage({ pool, metrics, snapshots, log, cacheMs: 0 });
  await snapshots.publish();
  return { metrics, snapshots, page };
}

/** Somebody folds everything that was not published since the last look. */
async function foldAll(): Promise<void> {
  await db.pool.query(
    `update metric_snapshots set updated_at = now() - interval '1 hour' where role <> 'retired'`,
  );
  const metrics = createMetrics();
  const folder = startSnapshots({ pool: db.pool, metrics, role: 'relay', log, silentMs: 60_000 });
  await vi.waitFor(async () => {
    const { rowCount } = await db.pool.query(
      `select from metric_snapshots where role not in ('retired', 'folded') and updated_at < now() - interval '1 minute'`,
    );
    expect(rowCount).toBe(0);
  });
  await folder[Symbol.asyncDispose]();
}

function value(text: string, series: string): number | undefined {
  const found = text.split('\n').find((line) => line.startsWith(`${series} `));
  return found === undefined ? undefined : Number(found.slice(series.length + 1));
}

test('one page shows what all processes counted', async () => {
  const api = await startProcess('api');
  const worker = await startProcess('worker');
  api.metrics.outboxPublished.inc(2);
  worker.metrics.outboxPublished.inc(3);
  worker.metrics.executionDuration.observe({ region: 'EU', status: 'completed' }, 0.3);
  api.metrics.executionDuration.observe({ region: 'EU', status: 'completed' }, 70);
  worker.metrics.httpDuration.observe({ path: '/only/there', method: 'GET' }, 0.3);
  await worker.snapshots.publish();
  const text = await api.page.render();
  expect(value(text, 'outbox_published_total')).toBe(5);
  const eu = (le: string) =>
    `runner_execution_duration_seconds_bucket{le="${le}",region="EU",status="completed"}`;
  expect(['0.25', '0.5', '60', '120', '+Inf'].map((le) => value(text, eu(le)))).toEqual([0, 1, 1, 2, 2]);
  expect(value(text, 'runner_execution_duration_seconds_sum{region="EU",status="completed"}')).toBeCloseTo(
    70.3,
  );
  // Known to the other process alone: its buckets come whole and in order.
  const buckets = text.split('\n').filter((line) => line.includes('_bucket') && line.includes('/only/there'));
  expect(buckets.map((line) => /le="([^"]+)"/.exec(line)![1])).toEqual([
    '0.001',
    '0.0025',
    '0.005',
    '0.01',
    '0.025',
    '0.05',
    '0.1',
    '0.25',
    '0.5',
    '1',
    '2',
    '5',
    '10',
    '+Inf',
  ]);
});

test('a process that goes silent is folded once and its counts stay; its gauges go', async () => {
  const api = await startProcess('api');
  const other = await startProcess('api');
  other.metrics.outboxPublished.inc(3);
  other.metrics.websocketConnections.set(7);
  await other.snapshots.publish();
  expect(value(await api.page.render(), 'websocket_connections')).toBe(7);
  await foldAll();
  await foldAll();
  const text = await api.page.render();
  expect(value(text, 'outbox_published_total')).toBe(3);
  expect(value(text, 'websocket_connections')).toBe(0);
});

test('totals stay exact whoever sleeps, is folded and comes back, in whatever order', async () => {
  const all = await Promise.all(['api', 'worker', 'relay'].map((role) => startProcess(role)));
  let counted = 0;
  const step = fc.oneof(
    fc.record({ do: fc.constant('count' as const), who: fc.nat(2), by: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ do: fc.constant('publish' as const), who: fc.nat(2) }),
    fc.record({ do: fc.constant('fold' as const) }),
    fc.record({ do: fc.constant('show' as const), who: fc.nat(2) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 15 }), async (steps) => {
      for (const next of steps) {
        if (next.do === 'fold') await foldAll();
        else if (next.do === 'publish') await all[next.who]!.snapshots.publish();
        else if (next.do === 'show') {
          const total = value(await all[next.who]!.page.render(), 'outbox_published_total')!;
          expect(total).toBeLessThanOrEqual(counted);
        } else {
          counted += next.by;
          all[next.who]!.metrics.outboxPublished.inc(next.by);
          all[next.who]!.metrics.queueLatency.observe({ region: 'EU' }, next.by);
        }
      }
      for (const { snapshots } of all) await snapshots.publish();
      for (const { page } of all) {
        const text = await page.render();
        expect(value(text, 'outbox_published_total')).toBe(counted);
        expect(value(text, 'runner_queue_latency_seconds_sum{region="EU"}')).toBe(counted);
      }
    }),
    { numRuns: 15 },
  );
});

test('what the database counts is shown from the database', async () => {
  const { page } = await startProcess('api');
  await db.pool.query(
    `update counters set value = value + 2 where name = 'jobs_enqueued_total' and shard in (0, 5)`,
  );
  const id = 'waiting';
  await db.pool.query(
    `insert into jobs (id, owner, form, message_sha256, request_sha256, raw, name, plan, total, open)
     select $1 || n, 'key', 'P1', sha256($1::bytea || n::text::bytea), sha256(''), '', 'n', '{}', 0, 0
     from generate_series(0, 2) n`,
    [id],
  );
  await db.pool.query(
    `insert into outbox (kind, job_id, owner, sends, created_at)
     select 'start', $1 || n, 'key', n, now() - n * interval '100 seconds' from generate_series(0, 2) n`,
    [id],
  );
  const text = await page.render();
  expect(value(text, 'jobs_enqueued_total')).toBe(4);
  expect(value(text, 'jobs_processed_total')).toBe(0);
  // One was never sent, one was sent twice; the one that was sent once is on its way.
  expect(value(text, 'outbox_unpublished_count')).toBe(2);
  expect(Math.round(value(text, 'outbox_oldest_unpublished_age_seconds')!)).toBeCloseTo(200, -1);
  expect(value(text, 'transparency_outbox_unpublished_count')).toBe(0);
  expect(value(text, 'memory_heap_alloc_bytes')).toBeGreaterThan(0);
});

test('counters stand at zero from the start, gauges whose zero means trouble only when measured', async () => {
  const { page, metrics } = await startProcess('api');
  const text = await page.render();
  for (const name of [
    'outbox_published_total',
    'outbox_publish_errors_total',
    'jobs_retried_total',
    'jobs_deadletter_total',
    'jobs_failed_total',
    'websocket_messages_broadcast_total',
    'websocket_messages_dropped_total',
    'runner_queue_latency_seconds_count{region="APAC"}',
    'runner_execution_duration_seconds_count{region="US",status="failed"}',
    'runner_failures_total{region="EU",error_type="attempt_timeout",component="provider"}',
  ]) {
    expect([name, value(text, name)]).toEqual([name, 0]);
  }
  expect(value(text, 'transparency_log_integrity_valid')).toBeUndefined();
  expect(value(text, 'transparency_log_size')).toBeUndefined();
  const other = await startProcess('relay');
  other.metrics.transparencyIntegrity.set(1);
  await other.snapshots.publish();
  expect(value(await page.render(), 'transparency_log_integrity_valid')).toBe(1);
  metrics.transparencyIntegrity.set(0);
  expect(value(await page.render(), 'transparency_log_integrity_valid')).toBe(0);
});

test('without the database the page still shows the counts it knows', async () => {
  const pool = createPool({ databaseUrl: db.url, name: 'api' });
  const api = await startProcess('api', pool);
  const worker = await startProcess('worker');
  worker.metrics.outboxPublished.inc(3);
  await worker.snapshots.publish();
  await api.page.render();
  await pool.end();
  const text = await api.page.render();
  expect(value(text, 'outbox_published_total')).toBe(3);
  expect(value(text, 'outbox_unpublished_count')).toBeUndefined();
});
