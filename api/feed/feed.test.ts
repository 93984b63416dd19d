import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { KIB, MIB } from '../../domain/limits.ts';
import { createPool } from '../../store/pool.ts';
import { entryAppended, feedStand } from '../../test/support/feed-stand.ts';

let stand: Awaited<ReturnType<typeof feedStand>>;
const restand = async (overrides: Parameters<typeof feedStand>[0]) => {
  await stand[Symbol.asyncDispose]();
  stand = await feedStand(overrides);
};
beforeEach(async () => {
  stand = await feedStand();
});
afterEach(() => stand[Symbol.asyncDispose]());

const seqs = (messages: Record<string, unknown>[]) => messages.map((message) => message.seq);

async function metric(name: string): Promise<number> {
  const { values } = await stand.metrics.shared.getSingleMetric(name)!.get();
  return values[0]!.value;
}

test('an event arrives as one line with its fields at the top level, under data, and with a cursor', async () => {
  const client = stand.read();
  const live = await client.message('feed.live');
  const executionId = randomUUID();
  const fields = {
    execution_id: executionId,
    ipfs_cid: 'bafk',
    merkle_root: 'ff',
    root: 'ff',
    job_id: 'job-1',
  };
  await stand.append('log:a', entryAppended({ executionId, jobId: 'job-1' }, fields));
  const event = await client.message('transparency.entry_appended');
  expect(event).toMatchObject({ ...fields, timestamp: '2026-01-02T03:04:05.678Z', log_index: 1 });
  expect(event.data).toEqual({ ...fields, timestamp: '2026-01-02T03:04:05.678Z', log_index: 1 });
  expect(event).toMatchObject({ stream: 'log:a', seq: 1 });
  expect(event.cursor).not.toBe(live.cursor);
  expect(client.unread()).toBe('');
});

test('several events of one moment are each a line of its own that ends in a newline', async () => {
  const client = stand.read();
  await client.message('feed.live');
  const raw: string[] = [];
  client.socket.on('message', (data: Buffer) => raw.push(data.toString()));
  await stand.append('log:a', ...Array.from({ length: 50 }, () => entryAppended()));
  await client.until(() => client.events().length === 50);
  for (const message of raw) expect(message.endsWith('}\n')).toBe(true);
  expect(raw.length).toBeLessThan(50);
  expect(await metric('websocket_messages_broadcast_total')).toBe(50);
});

test('without a cursor the feed begins now, with 0 or from=start at the oldest event', async () => {
  await stand.append('log:a', entryAppended(), entryAppended());
  const first = stand.read('cursor=0');
  await first.until(() => first.events().length === 2);
  const now = stand.read();
  const ready = await now.message('feed.ready');
  expect(ready.cursor).toBe(first.events()[1]!.cursor);
  expect(ready.head).toBe(ready.cursor);
  const start = stand.read('from=start');
  await stand.append('log:a', entryAppended());
  await start.until(() => start.events().length === 3);
  await now.until(() => now.events().length === 1);
  expect(seqs(start.events())).toEqual([1, 2, 3]);
  expect(seqs(now.events())).toEqual([3]);
});

test('a cursor resumes after itself, over many pages and into live events', async () => {
  const total = 950;
  for (let lot = 0; lot < 19; lot++)
    await stand.append('log:a', ...Array.from({ length: 50 }, () => entryAppended()));
  const witness = stand.read('cursor=0');
  await witness.until(() => witness.events().length === total);
  const client = stand.read(`cursor=${witness.events()[99]!.cursor}`);
  await stand.append('log:a', entryAppended());
  await client.until(() => client.events().at(-1)?.seq === total + 1);
  expect(seqs(client.events())).toEqual(Array.from({ length: total - 99 }, (_, index) => index + 101));
});

test('filters choose by job, execution and type; their cursor moves on without them', async () => {
  await restand({ settings: { pingMs: 100 } });
  const executionId = randomUUID();
  const byJob = stand.read('job_id=one');
  const byExecution = stand.read(`execution_id=${executionId.toUpperCase()}`);
  const byType = stand.read('types=job.started,job.completed');
  for (const client of [byJob, byExecution, byType]) await client.message('feed.live');
  await stand.append(
    'log:a',
    entryAppended({ jobId: 'one' }),
    entryAppended({ jobId: 'two', executionId }),
    entryAppended({ type: 'job.started', jobId: 'two' }),
    entryAppended({ jobId: 'two' }),
  );
  expect((await byJob.message('feed.cursor')).cursor).toBe((await byExecution.message('feed.cursor')).cursor);
  expect(seqs(byJob.events())).toEqual([1]);
  expect(seqs(byExecution.events())).toEqual([2]);
  expect(seqs(byType.events())).toEqual([3]);
  const older = stand.read('cursor=0&job_id=two&types=transparency.entry_appended');
  await older.until(() => older.events().length === 2);
  expect(seqs(older.events())).toEqual([2, 4]);
});

test('private events reach their owner only, live and from a cursor', async () => {
  await restand({
    viewerOf: ({ headers }) => ({
      all: false,
      owner: (headers['x-test-owner'] as string | undefined) ?? null,
    }),
  });
  const owner = { headers: { 'x-test-owner': 'key-a' } };
  const live = { stranger: stand.read(), other: stand.read('', { headers: { 'x-test-owner': 'key-b' } }) };
  const mine = stand.read('', owner);
  for (const client of [live.stranger, live.other, mine]) await client.message('feed.live');
  await stand.append('log:a', entryAppended({ visibility: 'private', owner: 'key-a' }), entryAppended());
  for (const client of [live.stranger, live.other]) {
    await client.until(() => client.events().length > 0);
    expect(seqs(client.events())).toEqual([2]);
  }
  await mine.until(() => mine.events().length === 2);
  const again = stand.read('cursor=0');
  await again.message('feed.live');
  expect(seqs(again.events())).toEqual([2]);
  const mineAgain = stand.read('cursor=0', owner);
  await mineAgain.until(() => mineAgain.events().length === 2);
});

test.each([
  ['of another epoch', () => 'abc.0'],
  ['above the head', (epoch: string) => `${epoch}.99`],
  ['below the floor', (epoch: string) => `${epoch}.1`],
])('a cursor %s is told to be stale, with the floor, and closed with 4410', async (_, cursorOf) => {
  await stand.append('log:a', entryAppended(), entryAppended(), entryAppended());
  const witness = stand.read('cursor=0');
  await witness.until(() => witness.events().length === 3);
  await stand.db.pool.query('update feed_head set floor = 2');
  const [epoch] = witness.events()[0]!.cursor.split('.');
  const client = stand.read(`cursor=${cursorOf(epoch!)}`);
  expect(await client.closed).toEqual({ code: 4410, reason: 'stale_cursor' });
  expect(client.messages).toEqual([
    expect.objectContaining({ type: 'error', error_code: 'stale_cursor', floor: `${epoch}.2` }),
  ]);
  const fromFloor = stand.read(`cursor=${epoch}.2`);
  await fromFloor.until(() => fromFloor.events().length === 1);
});

test('when the database is restored under a running feed its clients are told to begin anew', async () => {
  const client = stand.read();
  await client.message('feed.live');
  await stand.db.pool.query(`update feed_head set epoch = 'restored'`);
  stand.notifier.notify('feed');
  expect((await client.closed).code).toBe(4410);
  expect(await client.message('error')).toMatchObject({ floor: 'restored.0' });
  const again = stand.read();
  expect((await again.message('feed.ready')).cursor).toBe('restored.0');
});

test.each([
  ['cursor=nonsense', 'cursor'],
  ['from=here', 'from'],
  ['execution_id=x', 'execution_id'],
  [`job_id=${'x'.repeat(200)}`, 'job_id'],
  [`types=${'x'.repeat(65)}`, 'types.0'],
])('the query %s is refused with its field', async (query, field) => {
  const client = stand.read(query);
  expect(await client.closed).toEqual({ code: 4400, reason: 'invalid_query' });
  expect(await client.message('error')).toMatchObject({ error_code: 'invalid_query', field });
});

test('one connection too many is closed with 4429, per address and in total, and the place comes back', async () => {
  let address = 'a';
  await restand({ settings: { maxClients: 3, maxClientsPerAddress: 2 }, addressOf: () => address });
  const first = stand.read();
  await first.message('feed.live');
  await stand.read().message('feed.live');
  expect((await stand.read().closed).code).toBe(4429);
  address = 'b';
  await stand.read().message('feed.live');
  address = 'c';
  expect((await stand.read().closed).code).toBe(4429);
  expect(await metric('websocket_connections')).toBe(3);
  first.socket.close();
  await vi.waitFor(() => expect(stand.feed.clients).toBe(2));
  address = 'a';
  await stand.read().message('feed.live');
});

test('a client that does not read is closed with 4408, and the others get everything in time', async () => {
  const stalled = stand.read();
  const others = Array.from({ length: 5 }, () => stand.read());
  for (const client of [stalled, ...others]) await client.message('feed.live');
  stalled.socket.pause();
  // What the system's socket buffers take does not count, so send until the server's own buffer is full.
  let appended = 0;
  while (stand.feed.clients === 6 && appended < 64 * MIB) {
    await stand.append(
      'log:a',
      ...Array.from({ length: 50 }, () => entryAppended({}, { text: 'x'.repeat(12 * KIB) })),
    );
    appended += 50 * 24 * KIB;
    const seq = appended / (24 * KIB);
    for (const client of others) await client.until(() => client.events().at(-1)?.seq === seq);
    if ((await metric('websocket_messages_dropped_total')) > 0) break;
  }
  expect(await metric('websocket_messages_dropped_total')).toBe(1);
  for (const client of others) {
    expect(seqs(client.events())).toEqual(
      Array.from({ length: client.events().length }, (_, index) => index + 1),
    );
  }
  stalled.socket.resume();
  expect(await stalled.closed).toEqual({ code: 4408, reason: 'slow_consumer' });
  const last = stalled.events().at(-1)!;
  const resumed = stand.read(`cursor=${last.cursor}`);
  await resumed.until(() => resumed.events().at(-1)?.seq === others[0]!.events().at(-1)!.seq);
  expect(resumed.events()[0]!.seq).toBe(Number(last.seq) + 1);
});

test('a client that stops reading older events is closed too, and holds no turn meanwhile', async () => {
  await restand({ settings: { flushTimeoutMs: 400, backfillsAtOnce: 1 } });
  for (let lot = 0; lot < 24; lot++) {
    await stand.append(
      'log:a',
      ...Array.from({ length: 50 }, () => entryAppended({}, { text: 'x'.repeat(12 * KIB) })),
    );
  }
  const stalled = stand.read('cursor=0');
  stalled.socket.once('open', () => stalled.socket.pause());
  const other = stand.read('cursor=0&types=job.started');
  await other.message('feed.live');
  await vi.waitFor(async () => expect(await metric('websocket_messages_dropped_total')).toBe(1), 10_000);
  stalled.socket.resume();
  expect((await stalled.closed).code).toBe(4408);
});

test('a client that is gone without a word is noticed by its missing pong', async () => {
  await restand({ settings: { pingMs: 50 } });
  const silent = stand.read('', { autoPong: false });
  const alive = stand.read();
  await alive.message('feed.live');
  expect((await silent.closed).code).toBe(1006);
  await vi.waitFor(() => expect(stand.feed.clients).toBe(1));
  expect(alive.socket.readyState).toBe(alive.socket.OPEN);
});

test('a client that sends more than its limit is closed, small talk is thrown away', async () => {
  const client = stand.read();
  await client.message('feed.live');
  client.socket.send('hello');
  await stand.append('log:a', entryAppended());
  await client.until(() => client.events().length === 1);
  client.socket.send('x'.repeat(2 * KIB));
  expect((await client.closed).code).toBe(1009);
});

test('a shutdown tells the cursor, inside and as the reason of the close 1001', async () => {
  await stand.append('log:a', entryAppended());
  const client = stand.read('cursor=0');
  await client.until(() => client.events().length === 1);
  await client.message('feed.live');
  const { cursor } = client.events()[0]!;
  await stand.feed[Symbol.asyncDispose]();
  expect(await client.closed).toEqual({ code: 1001, reason: cursor });
  expect(client.messages.at(-1)).toEqual({ type: 'feed.closing', cursor });
});

test('an upgrade is refused by the gate, for another path, and while shutting down', async () => {
  const paths: string[] = [];
  await restand({
    refusal: ({ url, headers }) => {
      paths.push(url ?? '');
      return headers.origin === undefined ? undefined : 'origin_not_allowed';
    },
  });
  const evil = stand.read('', { origin: 'https://evil.example' });
  expect((await evil.failed).message).toContain('403');
  await stand.read().message('feed.ready');
  const socket = connect(stand.port, '127.0.0.1');
  socket.write('GET /elsewhere HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 404 Not Found\r\n[^]*"error_code":"not_found"/);
  expect(paths).toHaveLength(2);
});

test('the feed goes on by itself when the database ends its connections', async () => {
  const client = stand.read();
  await client.message('feed.live');
  const owner = createPool({ databaseUrl: stand.db.url, name: 'killer', role: null });
  await owner.query(
    'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
  );
  await owner.end();
  await vi.waitFor(() => stand.append('log:a', entryAppended()), 10_000);
  await client.until(() => client.events().length >= 1);
  expect(client.socket.readyState).toBe(client.socket.OPEN);
});
