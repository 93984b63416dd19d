import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { EmbeddedPostgres } from '../../embedded/postgres/server.ts';
import type { EmbeddedTemporal } from '../../embedded/temporal/server.ts';
import { pause } from '../../domain/pause.ts';
import { eventually } from '../support/eventually.ts';
import { followFeed, type FeedClient } from '../support/feed-client.ts';
import { clientKey, jobSpec, signedSpec, type SpecOptions } from '../support/jobs.ts';
import { startProcesses, type Processes, type RoleProcess } from '../support/processes.ts';

/** How long PostgreSQL and Temporal stay away. */
const AWAY_MS = 10_000;
const key = clientKey();
const WORKER_ENV = { LOCAL_CONCURRENCY: '8' };

let folder: string;
let processes: Processes | undefined;
let postgres: EmbeddedPostgres;
let temporal: EmbeddedTemporal;
let api: RoleProcess;
let relay: RoleProcess;
/** `execute` and `attest` in workers of their own, so that one can die without the other. */
let executing: RoleProcess;
let attesting: RoleProcess;
let feed: FeedClient | undefined;
let admin: pg.Pool | undefined;

const startApi = () =>
  processes!.role('api', ['serve'], { PORT_STRATEGY: 'ephemeral', FAILURES_PER_IP: '1000' });
const startRelay = () =>
  processes!.role('relay', ['relay'], { RECONCILE_INTERVAL: '2', RECONCILE_ABSENCE: '2' });
const startExecuting = () =>
  processes!.role('executing', ['worker', '--queues', 'backend-local'], WORKER_ENV);
const startAttesting = () => processes!.role('attesting', ['worker', '--queues', 'beacon']);

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'beacon-kill-'));
  // PostgreSQL and the jobs run as users of their own, who must get through.
  await chmod(folder, 0o711);
  processes = await startProcesses(folder);
  [postgres, temporal] = await Promise.all([processes.postgres(), processes.temporal()]);
  admin = new pg.Pool({ connectionString: postgres.databaseUrl, max: 2, options: '-c search_path=beacon' });
  admin.on('error', () => undefined);
  [api, relay, executing, attesting] = await Promise.all([
    startApi(),
    startRelay(),
    startExecuting(),
    startAttesting(),
  ]);
  feed = followFeed(() => api.url!);
}, 300_000);

afterAll(async () => {
  await feed?.[Symbol.asyncDispose]();
  await admin?.end();
  await processes?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

/** What the parts said last, when a test failed: the folder goes with the run. */
afterEach(async ({ task }) => {
  if (task.result?.state !== 'fail' || processes === undefined) return;
  for (const file of await readdir(processes.logs)) {
    const lines = (await readFile(path.join(processes.logs, file), 'utf8')).trim().split('\n');
    process.stderr.write(`\n== ${file}\n${lines.slice(-8).join('\n').slice(-4_000)}\n`);
  }
});

async function submit(options: SpecOptions = {}): Promise<string> {
  const spec = jobSpec({ image: 'builtin:sleep', input: { seconds: 0 }, ...options });
  const body = signedSpec(spec, key);
  return eventually(async () => {
    const answer = await fetch(`${api.url}/api/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      signal: AbortSignal.timeout(5_000),
    });
    if (answer.status !== 202 && answer.status !== 200)
      throw new Error(`${answer.status} ${await answer.text()}`);
    return spec.id;
  }, 60_000);
}

const many = (count: number, options?: SpecOptions) =>
  Promise.all(Array.from({ length: count }, () => submit(options)));

async function rows(sql: string, parameters: unknown[] = []): Promise<Record<string, unknown>[]> {
  return (await admin!.query(sql, parameters)).rows as Record<string, unknown>[];
}

/** Every job ended completed; every execution has exactly one receipt and one log entry; every summary is logged. */
async function expectAllRight(jobs: string[]): Promise<void> {
  await eventually(async () => {
    const open = await rows(
      `select id, state from jobs where id = any($1) and state in ('accepted', 'running')`,
      [jobs],
    );
    if (open.length > 0) throw new Error(`still open: ${JSON.stringify(open.slice(0, 5))} of ${open.length}`);
    return true;
  }, 150_000);
  await eventually(async () => {
    const [pending] = await rows('select count(*)::int as n from log_pending');
    if (pending!.n !== 0) throw new Error('the log lags');
    return true;
  });
  const [states] = await rows(
    `select json_object_agg(state, n) as by_state from (select state, count(*) as n from jobs where id = any($1) group by state) s`,
    [jobs],
  );
  expect(states!.by_state).toEqual({ completed: jobs.length });
  const wrong = await rows(
    `select e.id, e.state,
            (select count(*)::int from receipts r where r.execution_id = e.id) as receipts,
            (select count(*)::int from log_entries l where l.execution_id = e.id) as entries
     from executions e where e.job_id = any($1)
       and (e.state <> 'completed'
            or (select count(*) from receipts r where r.execution_id = e.id) <> 1
            or (select count(*) from log_entries l where l.execution_id = e.id) <> 1)`,
    [jobs],
  );
  expect(wrong).toEqual([]);
  const [summaries] = await rows(
    `select count(*)::int as n from log_entries where subject_kind = 'job' and job_id = any($1)`,
    [jobs],
  );
  expect(summaries!.n).toBe(jobs.length);
}

/** The client that was there all along saw every event once and in order. */
async function expectFeedWhole(): Promise<void> {
  const stored = await eventually(async () => {
    const all = await rows(
      'select stream, seq::int as seq, position::int as position from events order by position',
    );
    if (all.some((event) => event.position === null)) throw new Error('events without a position');
    if (feed!.events.length < all.length) throw new Error(`${feed!.events.length} of ${all.length} events`);
    return all;
  }, 60_000);
  expect(feed!.events.map((event) => event.position)).toEqual(stored.map((event) => event.position));
  const last = new Map<string, number>();
  for (const event of feed!.events) {
    const stream = event.stream as string;
    expect(event.seq).toBe((last.get(stream) ?? 0) + 1);
    last.set(stream, event.seq as number);
  }
}

async function untilRunning(jobs: string[], count: number): Promise<void> {
  await eventually(async () => {
    const [running] = await rows(
      `select count(*)::int as n from executions where job_id = any($1) and state = 'running'`,
      [jobs],
    );
    return (running!.n as number) >= count ? true : undefined;
  }, 60_000);
}

describe('kill -9', () => {
  it('of the API between commit and start loses no job', async () => {
    await relay.kill();
    const jobs = await many(10);
    await api.kill();
    [api, relay] = await Promise.all([startApi(), startRelay()]);
    await expectAllRight(jobs);
  }, 200_000);

  it('of the worker in the middle of an execution runs it again under the next attempt', async () => {
    const jobs = await many(4, { input: { seconds: 3 } });
    await untilRunning(jobs, 4);
    await executing.kill();
    executing = await startExecuting();
    await expectAllRight(jobs);
    const lost = await rows(
      `select a.state from attempts a join executions e on e.id = a.execution_id where e.job_id = any($1) and a.state = 'lost'`,
      [jobs],
    );
    expect(lost.length).toBeGreaterThan(0);
  }, 200_000);

  it('of the worker between execute and attest does not run the work again', async () => {
    const jobs = await many(4, { input: { seconds: 2 } });
    await untilRunning(jobs, 4);
    await attesting.kill();
    await eventually(async () => {
      const staged = await rows(
        `select from attempts a join executions e on e.id = a.execution_id where e.job_id = any($1) and a.state = 'succeeded'`,
        [jobs],
      );
      return staged.length === 4 ? true : undefined;
    }, 60_000);
    await executing.kill();
    [executing, attesting] = await Promise.all([startExecuting(), startAttesting()]);
    await expectAllRight(jobs);
    const attempts = await rows(`select max(attempt) as most from executions where job_id = any($1)`, [jobs]);
    expect(attempts).toEqual([{ most: 1 }]);
  }, 200_000);

  it('of relay, PostgreSQL and Temporal while 50 jobs are under way leaves every job right', async () => {
    const jobs = await many(50, { regions: ['US', 'EU'], input: { seconds: 1 } });
    await untilRunning(jobs, 4);
    await relay.kill();
    process.kill(postgres.identity.pid, 'SIGKILL');
    process.kill(temporal.identity.pid, 'SIGKILL');
    await Promise.all([postgres.ended, temporal.ended]);
    await pause(AWAY_MS, AbortSignal.timeout(2 * AWAY_MS));
    [postgres, temporal] = await Promise.all([processes!.postgres(), processes!.temporal()]);
    relay = await startRelay();
    await expectAllRight(jobs);
  }, 300_000);

  it('that costs Temporal its whole database leaves every job right', async () => {
    const jobs = await many(10, { input: { seconds: 1 } });
    await untilRunning(jobs, 4);
    process.kill(temporal.identity.pid, 'SIGKILL');
    await temporal.ended;
    await processes!.forgetTemporal();
    temporal = await processes!.temporal();
    await expectAllRight(jobs);
  }, 300_000);

  it('never made a gap for a client that was connected all along', async () => {
    await expectFeedWhole();
  }, 90_000);
});
