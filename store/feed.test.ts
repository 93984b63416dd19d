import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { STRANGER } from './principals.ts';
import { testDatabase } from '../test/support/postgres.ts';
import { appendToStream } from './events.ts';
import type { NewEvent } from './events.ts';
import { checkCursor, givePositions, readFeed, readHead, readTail } from './feed.ts';
import { withTransaction } from './pool.ts';

let db: Awaited<ReturnType<typeof testDatabase>>;
beforeEach(async () => {
  db = await testDatabase();
});
afterEach(() => db[Symbol.asyncDispose]());

const event = (rest: Partial<NewEvent> = {}): NewEvent => ({
  type: 'transparency.entry_appended',
  payload: { timestamp: 'now' },
  ...rest,
});
const append = (stream: string, events: NewEvent[]) =>
  withTransaction(db.pool, (tx) => appendToStream(tx, stream, events));
const positions = (events: { position: number }[]) => events.map(({ position }) => position);
const upTo = (n: number) => Array.from({ length: n }, (_, index) => index + 1);

test('an event that commits late gets a later position, never one that was passed', async () => {
  const late = await db.pool.connect();
  await late.query('begin');
  await appendToStream(late, 'log:late', [event()]);
  await append('log:early', [event()]);
  expect(await givePositions(db.pool)).toBe(1);
  expect(await givePositions(db.pool)).toBe(0);
  await late.query('commit');
  late.release();
  expect(await givePositions(db.pool)).toBe(1);
  const { events } = await readTail(db.pool, 0, 10);
  expect(events.map(({ stream, position }) => [stream, position])).toEqual([
    ['log:early', 1],
    ['log:late', 2],
  ]);
});

test('several givers at once give every position once and without gaps', async () => {
  let writing = true;
  const givers = Array.from({ length: 4 }, async () => {
    while (writing || (await givePositions(db.pool)) > 0) await givePositions(db.pool);
  });
  for (let round = 0; round < 40; round++) {
    await Promise.all([append('log:a', [event(), event()]), append('log:b', [event(), event(), event()])]);
  }
  writing = false;
  await Promise.all(givers);
  while ((await givePositions(db.pool)) > 0);
  expect(positions((await readTail(db.pool, 0, 1_000)).events)).toEqual(upTo(200));
  expect(await readHead(db.pool)).toMatchObject({ position: 200, floor: 0 });
});

test('a batch is bounded', async () => {
  await append(
    'log:a',
    Array.from({ length: 1_001 }, () => event()),
  );
  expect(await givePositions(db.pool)).toBe(1_000);
  expect(await givePositions(db.pool)).toBe(1);
});

test('private events are shown to their owner and to nobody else', async () => {
  await append('log:a', [event(), event({ visibility: 'private', owner: 'key-a' }), event()]);
  await givePositions(db.pool);
  const read = (owner: string | null) =>
    readFeed(db.pool, { after: 0, limit: 10, viewer: { all: false, owner } });
  expect(positions((await read(null)).events)).toEqual([1, 3]);
  expect(positions((await read('key-b')).events)).toEqual([1, 3]);
  expect(positions((await read('key-a')).events)).toEqual([1, 2, 3]);
});

test('pages follow each other by `through`, filtered or not', async () => {
  const executionId = randomUUID();
  await append('log:a', [
    event({ jobId: 'one' }),
    event({ jobId: 'two', executionId }),
    event({ jobId: 'one', type: 'job.started' }),
    event({ jobId: 'two' }),
    event({ jobId: 'one' }),
  ]);
  await givePositions(db.pool);
  const all = async (filter: object, limit: number) => {
    const seen: number[] = [];
    for (let after = 0; after < 5;) {
      const page = await readFeed(db.pool, { after, limit, filter, viewer: STRANGER });
      expect(page.through).toBeGreaterThan(after);
      after = page.through;
      seen.push(...positions(page.events));
    }
    return seen;
  };
  expect(await all({}, 2)).toEqual(upTo(5));
  expect(await all({ jobId: 'one' }, 2)).toEqual([1, 3, 5]);
  expect(await all({ jobId: 'two', executionId }, 1)).toEqual([2]);
  expect(await all({ executionId }, 2)).toEqual([2]);
  expect(await all({ types: ['job.started'] }, 2)).toEqual([3]);
  expect(await all({ jobId: 'none' }, 2)).toEqual([]);
});

test('a cursor is stale when foreign, above the head or below the floor', async () => {
  const head = { epoch: 'abc', position: 9, floor: 4 };
  const stale = (epoch: string, position: number) => () => checkCursor({ epoch, position }, head);
  expect(stale('abc', 4)).not.toThrow();
  expect(stale('abc', 9)).not.toThrow();
  for (const check of [stale('abd', 5), stale('abc', 10), stale('abc', 3)]) {
    expect(check).toThrow(expect.objectContaining({ code: 'stale_cursor', floor: 'abc.4' }));
  }
});

test('what stands in the log is told when it is shown, and nothing else waits for it', async () => {
  await db.pool.query(`insert into log_state (log_id, origin, root) values ('a', 'beacon.test/a', '')`);
  await append('log:a', [event(), event(), event()]);
  await append('execution:x', [event({ type: 'execution.started' })]);
  const shown = async () =>
    (await readTail(db.pool, 0, 10)).events.map(({ stream, seq }) => `${stream} ${seq}`);
  expect([await givePositions(db.pool), await givePositions(db.pool)]).toEqual([1, 0]);
  expect(await shown()).toEqual(['execution:x 1']);
  const show = (size: number) => db.pool.query('update log_state set published = $1', [size]);
  await show(2);
  expect([await givePositions(db.pool), await givePositions(db.pool)]).toEqual([2, 0]);
  await show(3);
  expect([await givePositions(db.pool), await givePositions(db.pool)]).toEqual([1, 0]);
  expect(await shown()).toEqual(['execution:x 1', 'log:a 1', 'log:a 2', 'log:a 3']);
});
