import { afterAll, beforeAll, expect, test } from 'vitest';
import { testDatabase } from '../test/support/postgres.ts';
import { appendToStream } from './events.ts';
import type { NewEvent } from './events.ts';
import { withTransaction } from './pool.ts';

let db: Awaited<ReturnType<typeof testDatabase>>;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db[Symbol.asyncDispose]());

const appended = (fields: Record<string, unknown> = {}, rest: Partial<NewEvent> = {}): NewEvent => ({
  type: 'transparency.entry_appended',
  payload: { timestamp: '2026-01-02T03:04:05.678Z', ...fields },
  ...rest,
});
const append = (stream: string, events: NewEvent[], expectedSeq?: number) =>
  withTransaction(db.pool, (tx) =>
    appendToStream(tx, stream, events, expectedSeq === undefined ? {} : { expectedSeq }),
  );

async function read(stream: string): Promise<{ seq: number; payload: string }[]> {
  const { rows } = await db.pool.query<{ seq: number; payload: string }>(
    'select seq, payload::text as payload from events where stream = $1 order by seq',
    [stream],
  );
  return rows;
}

test('concurrent writers of one stream leave no gap and no double', async () => {
  const writers = Array.from({ length: 12 }, (_, writer) =>
    append('log:a', [appended({ writer, n: 1 }), appended({ writer, n: 2 })]),
  );
  const seqs = (await Promise.all(writers)).flat().map(({ seq }) => seq);
  const inOrder = Array.from({ length: 24 }, (_, index) => index + 1);
  expect(seqs.toSorted((a, b) => a - b)).toEqual(inOrder);
  expect((await read('log:a')).map(({ seq }) => seq)).toEqual(inOrder);
});

test('a transaction that fails takes no seq', async () => {
  await append('log:b', [appended()]);
  await expect(
    withTransaction(db.pool, async (tx) => {
      await appendToStream(tx, 'log:b', [appended()]);
      throw new Error('later step failed');
    }),
  ).rejects.toThrow('later step failed');
  expect(await append('log:b', [appended()])).toEqual([{ seq: 2, repeated: false }]);
});

test('the same key with the same content is stored once, with another content refused', async () => {
  const event = appended({ log_index: 7 }, { idempotencyKey: 'receipt/x/1' });
  expect(await append('log:c', [event])).toEqual([{ seq: 1, repeated: false }]);
  expect(await append('log:c', [appended(), event, event])).toEqual([
    { seq: 2, repeated: false },
    { seq: 1, repeated: true },
    { seq: 1, repeated: true },
  ]);
  await expect(
    append('log:c', [{ ...event, payload: { ...event.payload, log_index: 8 } }]),
  ).rejects.toMatchObject({
    code: 'idempotency_conflict',
  });
  expect(await read('log:c')).toHaveLength(2);
});

test('an append that expects another seq is refused, unless it repeats what stands there', async () => {
  const event = appended({}, { idempotencyKey: 'first' });
  await append('log:d', [event], 0);
  await expect(append('log:d', [appended()], 0)).rejects.toMatchObject({ code: 'seq_conflict' });
  expect(await append('log:d', [event], 0)).toEqual([{ seq: 1, repeated: true }]);
  expect(await append('log:d', [appended()], 1)).toEqual([{ seq: 2, repeated: false }]);
});

test('a payload is kept as it was written', async () => {
  const odd = { timestamp: 't', text: 'a\u2028<b>&"ü\u{1f600}', z: 1, a: [1.5, null] };
  await append('log:e', [appended(odd)]);
  expect(await read('log:e')).toEqual([{ seq: 1, payload: JSON.stringify(odd) }]);
});

test('a payload above its limit is refused before it reaches the database', async () => {
  await expect(append('log:f', [appended({ text: 'ü'.repeat(8_192) })])).rejects.toMatchObject({
    code: 'payload_too_large',
  });
});
