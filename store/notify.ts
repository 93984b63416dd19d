import pg from 'pg';
import type { Pool } from './pool.ts';

/** What a wake-up can be about: outbox rows, pending log entries, events without a position, feed positions. */
export const CHANNELS = ['outbox', 'log', 'events', 'feed'] as const;
export type Channel = (typeof CHANNELS)[number];

/** At most one NOTIFY in this time unless told otherwise: under load one wake-up stands for many commits (spec: core §7). */
const COALESCE_MS = 5;
const BACKOFF_MIN_MS = 50;
const BACKOFF_MAX_MS = 5_000;
/** A NOTIFY or LISTEN takes well under a millisecond; a connection that is silent for longer is taken as dead. */
const ANSWER_TIMEOUT_MS = 5_000;
/** A listener sends nothing by itself, so it would take a connection that was cut without a word for a quiet one. */
const LISTENER_PING_MS = 30_000;

/** Tells other processes that there is something to read; a hint, never the truth: readers poll as well. */
export interface Notifier extends AsyncDisposable {
  /** Call after the commit. Returns at once and never throws. */
  notify(channel: Channel): void;
}

export interface Wakeups extends AsyncDisposable {
  /**
   * Resolves when `channel` was notified since the last call with this signal, after `pollMs`, or on abort; rejects only
   * for a channel that is not listened to. Callers are told apart by their signal, so loops that share a channel must not share a signal.
   */
  next(channel: Channel, pollMs: number, signal: AbortSignal): Promise<void>;
}

async function connect(
  databaseUrl: string,
  name: string,
  answerTimeoutMs = ANSWER_TIMEOUT_MS,
): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: `beacon ${name}`,
    connectionTimeoutMillis: answerTimeoutMs,
    query_timeout: answerTimeoutMs,
    keepAlive: true,
  });
  // Without a listener a connection lost while idle would end the process; the next use opens another one.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/**
 * Sends on a connection of its own, opened at the first notification: a NOTIFY inside the transactions that make the
 * events would serialise their commits.
 */
export function createNotifier(pool: Pool, { coalesceMs = COALESCE_MS } = {}): Notifier {
  const databaseUrl = pool.options.connectionString;
  if (databaseUrl === undefined)
    throw new TypeError('the notifier needs a pool made from a connection string');
  const waiting = new Set<Channel>();
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let sending: Promise<void> | undefined;
  let backoffMs = 0;
  let disposed = false;

  async function flush(): Promise<void> {
    const channels = [...waiting];
    waiting.clear();
    try {
      if (client === undefined) {
        const opened = await connect(databaseUrl!, 'notifier');
        opened.on('end', () => {
          if (client === opened) client = undefined;
        });
        client = opened;
      }
      // One transaction, and a hint: nobody waits for it to be on disk.
      const notify = channels.map((channel) => `notify beacon_${channel}`).join(';');
      await client.query(`set local synchronous_commit = off;${notify}`);
      backoffMs = 0;
    } catch {
      for (const channel of channels) waiting.add(channel);
      client?.end().catch(() => undefined);
      client = undefined;
      backoffMs = Math.min(Math.max(backoffMs * 2, BACKOFF_MIN_MS), BACKOFF_MAX_MS);
    }
  }

  function schedule(delayMs: number): void {
    if (timer !== undefined || sending !== undefined) return;
    timer = setTimeout(() => {
      timer = undefined;
      sending = flush().finally(() => {
        sending = undefined;
        if (waiting.size > 0 && !disposed) schedule(Math.max(backoffMs, coalesceMs));
      });
    }, delayMs);
    timer.unref();
  }

  let lastSentAt = 0;
  return {
    notify(channel) {
      if (disposed) return;
      waiting.add(channel);
      // The first after a pause goes out at once, those that follow it wait for the rest of the interval.
      const now = performance.now();
      const dueAt = Math.max(now, lastSentAt + coalesceMs);
      if (timer === undefined && sending === undefined) lastSentAt = dueAt;
      schedule(dueAt - now);
    },
    async [Symbol.asyncDispose]() {
      disposed = true;
      clearTimeout(timer);
      await sending;
      if (waiting.size > 0 && backoffMs === 0) await flush();
      await client?.end().catch(() => undefined);
    },
  };
}

export interface WakeupsOptions {
  /** Those that are listened to; all unless told otherwise, and no connection for none. */
  channels?: readonly Channel[];
  /** How often the connection is asked for a sign of life. */
  pingMs?: number;
  answerTimeoutMs?: number;
}

/**
 * Listens to its channels on one connection. When that connection is lost, or gives no sign of life, it connects again
 * with backoff, and then wakes everybody, because notifications sent in between are gone. Resolves after the first try,
 * successful or not.
 */
export async function createWakeups(
  databaseUrl: string,
  {
    channels = CHANNELS,
    pingMs = LISTENER_PING_MS,
    answerTimeoutMs = ANSWER_TIMEOUT_MS,
  }: WakeupsOptions = {},
): Promise<Wakeups> {
  const generations = new Map<Channel, number>(channels.map((channel) => [channel, 0]));
  const waiters = new Map<Channel, Set<() => void>>(channels.map((channel) => [channel, new Set()]));
  const seen = new WeakMap<AbortSignal, Map<Channel, number>>();
  let client: pg.Client | undefined;
  let retry: NodeJS.Timeout | undefined;
  let pings: NodeJS.Timeout | undefined;
  let backoffMs = BACKOFF_MIN_MS;
  let disposed = false;

  function wake(channel: Channel): void {
    generations.set(channel, generations.get(channel)! + 1);
    for (const waiter of [...waiters.get(channel)!]) waiter();
  }

  function listenLater(): void {
    if (disposed || retry !== undefined) return;
    retry = setTimeout(() => {
      retry = undefined;
      void listen();
    }, backoffMs);
    retry.unref();
    backoffMs = Math.min(backoffMs * 2, BACKOFF_MAX_MS);
  }

  function lost(gone: pg.Client): void {
    if (client !== gone) return;
    client = undefined;
    clearTimeout(pings);
    gone.end().catch(() => undefined);
    listenLater();
  }

  function pingLater(listener: pg.Client): void {
    pings = setTimeout(() => {
      listener.query('select 1').then(
        () => {
          if (client === listener) pingLater(listener);
        },
        () => lost(listener),
      );
    }, pingMs);
    pings.unref();
  }

  async function listen(): Promise<void> {
    let opened: pg.Client | undefined;
    try {
      opened = await connect(databaseUrl, 'wakeups', answerTimeoutMs);
      opened.on('notification', ({ channel }) => {
        const name = channels.find((candidate) => channel === `beacon_${candidate}`);
        if (name !== undefined) wake(name);
      });
      const listener = opened;
      await listener.query(channels.map((channel) => `listen beacon_${channel}`).join(';'));
      if (disposed) {
        await listener.end();
        return;
      }
      listener.on('end', () => lost(listener));
      client = listener;
      pingLater(listener);
      backoffMs = BACKOFF_MIN_MS;
      for (const channel of channels) wake(channel);
    } catch {
      opened?.end().catch(() => undefined);
      listenLater();
    }
  }

  if (channels.length > 0) await listen();

  return {
    async next(channel, pollMs, signal) {
      if (signal.aborted) return;
      const mine = seen.get(signal) ?? new Map<Channel, number>();
      seen.set(signal, mine);
      const current = generations.get(channel);
      if (current === undefined) throw new TypeError(`nobody listens to ${channel}`);
      const known = mine.get(channel) ?? current;
      mine.set(channel, current);
      if (known !== current) return;
      await new Promise<void>((resolve) => {
        const set = waiters.get(channel)!;
        const done = () => {
          clearTimeout(timer);
          set.delete(done);
          signal.removeEventListener('abort', done);
          mine.set(channel, generations.get(channel)!);
          resolve();
        };
        const timer = setTimeout(done, pollMs);
        set.add(done);
        signal.addEventListener('abort', done, { once: true });
      });
    },
    async [Symbol.asyncDispose]() {
      disposed = true;
      clearTimeout(retry);
      clearTimeout(pings);
      const last = client;
      client = undefined;
      await last?.end().catch(() => undefined);
    },
  };
}
