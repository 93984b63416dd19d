import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, vi } from 'vitest';
import WebSocket from 'ws';
import { createFeed } from '../../api/feed/feed.ts';
import type { FeedDeps } from '../../api/feed/feed.ts';
import { createBusinessEvents } from '../../observability/events.ts';
import { createLogger } from '../../observability/log.ts';
import { createMetrics } from '../../observability/metrics.ts';
import { appendToStream } from '../../store/events.ts';
import type { NewEvent } from '../../store/events.ts';
import { createNotifier, createWakeups } from '../../store/notify.ts';
import { withTransaction } from '../../store/pool.ts';
import { startFeedPositions } from '../../worker/feed-positions.ts';
import { testDatabase } from './postgres.ts';

const DEADLINE_MS = 10_000;

export type FeedMessage = Record<string, unknown> & { type: string; cursor: string };

/** A feed as it really runs: PostgreSQL, the giver of positions, wake-ups, an HTTP server on loopback. */
export async function feedStand(overrides: Partial<FeedDeps> = {}) {
  const db = await testDatabase();
  const log = createLogger('test', 'silent');
  const metrics = createMetrics();
  const notifier = createNotifier(db.pool);
  const wakeups = await createWakeups(db.url);
  const positions = startFeedPositions({ pool: db.pool, notifier, wakeups, log });
  const events = createBusinessEvents(log, metrics);
  const feed = createFeed({ pool: db.pool, wakeups, log, events, refusal: () => undefined, ...overrides });
  const server = createServer();
  feed.attach(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const clients: FeedReader[] = [];

  return {
    db,
    feed,
    metrics,
    notifier,
    port,
    /** Opens a client; `query` without the question mark. */
    read(query = '', options: WebSocket.ClientOptions = {}): FeedReader {
      const reader = readFeedOf(`ws://127.0.0.1:${port}/ws?${query}`, options);
      clients.push(reader);
      return reader;
    },
    async append(stream: string, ...events: NewEvent[]): Promise<void> {
      await withTransaction(db.pool, (tx) => appendToStream(tx, stream, events));
      notifier.notify('events');
    },
    async [Symbol.asyncDispose]() {
      for (const { socket } of clients) socket.terminate();
      await feed[Symbol.asyncDispose]();
      await positions[Symbol.asyncDispose]();
      await notifier[Symbol.asyncDispose]();
      await wakeups[Symbol.asyncDispose]();
      await new Promise((resolve) => server.close(resolve));
      await db[Symbol.asyncDispose]();
    },
  };
}

export type FeedReader = ReturnType<typeof readFeedOf>;

/** A client that reads as the oldest ones do: it splits at newlines and keeps what follows the last one. */
export function readFeedOf(url: string, options: WebSocket.ClientOptions) {
  const socket = new WebSocket(url, options);
  const messages: FeedMessage[] = [];
  let rest = '';
  socket.on('message', (data: Buffer, isBinary) => {
    expect(isBinary).toBe(false);
    const lines = (rest + data.toString()).split('\n');
    rest = lines.pop()!;
    for (const text of lines) messages.push(JSON.parse(text) as FeedMessage);
  });
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  const failed = new Promise<Error>((resolve) => socket.on('error', resolve));
  return {
    socket,
    messages,
    closed,
    failed,
    /** What came after the last newline; must always be nothing. */
    unread: () => rest,
    /** The messages of the streams themselves, without those about the connection. */
    events: () => messages.filter(({ seq }) => seq !== undefined),
    async until(condition: (messages: FeedMessage[]) => boolean): Promise<void> {
      await vi.waitFor(() => expect(condition(messages)).toBe(true), { timeout: DEADLINE_MS, interval: 5 });
    },
    async message(type: string): Promise<FeedMessage> {
      await this.until(() => messages.some((message) => message.type === type));
      return messages.find((message) => message.type === type)!;
    },
  };
}

/** The event that the oldest clients wait for, with the fields they show. */
export function entryAppended(rest: Partial<NewEvent> = {}, fields: Record<string, unknown> = {}): NewEvent {
  return {
    type: 'transparency.entry_appended',
    payload: {
      timestamp: '2026-01-02T03:04:05.678Z',
      merkle_root: 'ab',
      root: 'ab',
      log_index: 1,
      ...fields,
    },
    ...rest,
  };
}
