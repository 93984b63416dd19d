import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { testDatabase } from '../test/support/postgres.ts';
import { createNotifier, createWakeups } from './notify.ts';
import type { Notifier, Wakeups } from './notify.ts';
import { createPool } from './pool.ts';

/** Longer than any test may take: a call that ends by this poll has failed. */
const NEVER_MS = 60_000;

let db: Awaited<ReturnType<typeof testDatabase>>;
let notifier: Notifier;
let wakeups: Wakeups;
beforeAll(async () => {
  db = await testDatabase();
  notifier = createNotifier(db.pool);
  wakeups = await createWakeups(db.url);
});
afterAll(async () => {
  await notifier[Symbol.asyncDispose]();
  await wakeups[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});

async function endsWithin(ms: number, promise: Promise<void>): Promise<boolean> {
  const late = new AbortController();
  const timer = delay(ms, false, { signal: late.signal }).catch(() => false);
  return Promise.race([promise.then(() => true), timer]).finally(() => late.abort());
}

test('a notification wakes those who wait on its channel, and nobody else', async () => {
  const { signal } = new AbortController();
  const other = new AbortController();
  const outbox = wakeups.next('outbox', NEVER_MS, signal);
  const log = wakeups.next('log', NEVER_MS, other.signal);
  notifier.notify('outbox');
  expect(await endsWithin(5_000, outbox)).toBe(true);
  expect(await endsWithin(20, log)).toBe(false);
  other.abort();
  expect(await endsWithin(1_000, log)).toBe(true);
});

test('who listens to some channels hears those alone, and is told when he waits on another', async () => {
  await using some = await createWakeups(db.url, { channels: ['feed'] });
  const feed = some.next('feed', NEVER_MS, new AbortController().signal);
  notifier.notify('outbox');
  expect(await endsWithin(20, feed)).toBe(false);
  notifier.notify('feed');
  expect(await endsWithin(5_000, feed)).toBe(true);
  await expect(some.next('log', 1, new AbortController().signal)).rejects.toThrow('nobody listens to log');
  await using none = await createWakeups(db.url, { channels: [] });
  await expect(none.next('feed', 1, new AbortController().signal)).rejects.toThrow('nobody listens to feed');
});

test('a notification between two calls is not lost, for each of two loops', async () => {
  const first = new AbortController().signal;
  const second = new AbortController().signal;
  await wakeups.next('events', 1, first);
  await wakeups.next('events', 1, second);
  const witness = wakeups.next('events', NEVER_MS, new AbortController().signal);
  notifier.notify('events');
  expect(await endsWithin(5_000, witness)).toBe(true);
  expect(await endsWithin(100, wakeups.next('events', NEVER_MS, first))).toBe(true);
  expect(await endsWithin(100, wakeups.next('events', NEVER_MS, second))).toBe(true);
  // It was one notification, so it wakes each loop once.
  expect(await endsWithin(30, wakeups.next('events', NEVER_MS, first))).toBe(false);
});

test('many notifications of a moment are sent as few', async () => {
  const received: string[] = [];
  const listener = await db.pool.connect();
  listener.on('notification', ({ channel }) => received.push(channel));
  await listener.query('listen beacon_feed');
  const { signal } = new AbortController();
  await wakeups.next('feed', 1, signal);
  for (let i = 0; i < 10_000; i++) notifier.notify('feed');
  await wakeups.next('feed', NEVER_MS, signal);
  await vi.waitFor(async () => {
    await listener.query('select 1');
    expect(received.length).toBeGreaterThan(0);
  });
  expect(received.length).toBeLessThanOrEqual(2);
  await listener.query('unlisten *');
  listener.release(true);
});

test('both ends survive that PostgreSQL ends their connections', async () => {
  const owner = createPool({ databaseUrl: db.url, name: 'killer', role: null });
  const killed = await owner.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name in ('beacon notifier', 'beacon wakeups') and datname = current_database()`,
  );
  await owner.end();
  expect(killed.rowCount).toBe(2);
  const { signal } = new AbortController();
  await vi.waitFor(
    async () => {
      notifier.notify('log');
      expect(await endsWithin(200, wakeups.next('log', NEVER_MS, signal))).toBe(true);
      // Twice, since reconnecting itself wakes everybody once.
      notifier.notify('log');
      expect(await endsWithin(200, wakeups.next('log', NEVER_MS, signal))).toBe(true);
    },
    { timeout: 10_000, interval: 20 },
  );
});

/** A way to PostgreSQL that can fall silent: its connections stay open, and nothing goes through them any more. */
async function silenceableWay(databaseUrl: string) {
  const { hostname, port } = new URL(databaseUrl);
  const ways: Socket[] = [];
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const socket of [near, far]) socket.on('error', () => undefined);
    near.pipe(far);
    far.pipe(near);
    ways.push(near, far);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(databaseUrl);
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: url.href,
    /** Connections made so far. */
    count: () => ways.length / 2,
    /** Cuts the connections of now without a word to either end. */
    silence() {
      for (const socket of ways) socket.unpipe().pause();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of ways) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test('a listener whose connection fell silent without a word listens again', async () => {
  await using way = await silenceableWay(db.url);
  await using far = await createWakeups(way.url, { pingMs: 50, answerTimeoutMs: 500 });
  const { signal } = new AbortController();
  await far.next('feed', 1, signal);
  way.silence();
  // Only a new connection wakes: nobody notifies.
  await far.next('feed', NEVER_MS, signal);
  expect(way.count()).toBe(2);
  notifier.notify('feed');
  await far.next('feed', NEVER_MS, signal);
});

test('a listener that is answered keeps its connection', async () => {
  await using way = await silenceableWay(db.url);
  await using _far = await createWakeups(way.url, { pingMs: 1 });
  const owner = createPool({ databaseUrl: db.url, name: 'looker', role: null });
  await vi.waitFor(
    async () => {
      const { rowCount } = await owner.query(
        `select from pg_stat_activity
         where application_name = 'beacon wakeups' and datname = current_database() and query = 'select 1'`,
      );
      expect(rowCount).toBe(1);
    },
    { timeout: 10_000 },
  );
  await owner.end();
  expect(way.count()).toBe(1);
});

test('without a server nobody is disturbed: notify returns, next ends by its poll', async () => {
  const unreachable = 'postgres://127.0.0.1:1/none';
  const pool = createPool({ databaseUrl: unreachable, name: 'test' });
  await using lonely = createNotifier(pool);
  await using deaf = await createWakeups(unreachable);
  lonely.notify('feed');
  expect(await endsWithin(2_000, deaf.next('feed', 10, new AbortController().signal))).toBe(true);
  await pool.end();
});
