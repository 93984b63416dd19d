import fc from 'fast-check';
import { expect, test } from 'vitest';
import { appendToStream } from '../../store/events.ts';
import { createNotifier, createWakeups } from '../../store/notify.ts';
import { entryAppended, feedStand } from '../../test/support/feed-stand.ts';
import type { FeedMessage, FeedReader } from '../../test/support/feed-stand.ts';
import { createLogger } from '../../observability/log.ts';
import { startFeedPositions } from '../../worker/feed-positions.ts';

const STREAMS = ['log:a', 'log:b', 'log:c'];
type Stand = Awaited<ReturnType<typeof feedStand>>;

/** One writer's transaction: how many events to which stream, and after which later steps it commits. */
interface Write {
  stream: number;
  events: number;
  commitsAfter: number;
}
const writes = fc.array(
  fc.record({ stream: fc.nat(2), events: fc.integer({ min: 1, max: 4 }), commitsAfter: fc.nat(6) }),
  { minLength: 10, maxLength: 40 },
);

/** Writes in concurrent transactions of which some commit much later than others that began after them. */
async function write(stand: Stand, plan: readonly Write[]): Promise<number> {
  const open: { due: number; streams: string; commit: () => Promise<void> }[] = [];
  let total = 0;
  for (const [step, { stream, events, commitsAfter }] of plan.entries()) {
    const name = STREAMS[stream]!;
    // A stream's head is locked until its transaction ends, so whoever holds this one commits first.
    for (const held of open.filter((one) => one.due <= step || one.streams === name)) {
      open.splice(open.indexOf(held), 1);
      await held.commit();
    }
    const tx = await stand.db.pool.connect();
    await tx.query('begin');
    await appendToStream(
      tx,
      name,
      Array.from({ length: events }, () => entryAppended()),
    );
    total += events;
    open.push({
      due: step + commitsAfter,
      streams: name,
      async commit() {
        await tx.query('commit');
        tx.release();
        stand.notifier.notify('events');
      },
    });
  }
  for (const { commit } of open) await commit();
  return total;
}

/** Reads on with the last cursor it saw whenever its connection is cut, until it has `total()` events. */
async function readAll(
  stand: Stand,
  cuts: readonly number[],
  total: () => number | undefined,
): Promise<FeedMessage[]> {
  const seen: FeedMessage[] = [];
  let cursor = '0';
  for (const cut of [...cuts, Infinity]) {
    const reader: FeedReader = stand.read(`cursor=${cursor}`);
    await reader.until(
      () => reader.events().length >= cut || seen.length + reader.events().length >= (total() ?? Infinity),
    );
    // Cut without a word: what is under way is lost and must come again.
    reader.socket.terminate();
    seen.push(...reader.events());
    cursor = seen.at(-1)?.cursor ?? cursor;
    if (seen.length >= (total() ?? Infinity)) break;
  }
  return seen;
}

test('whatever commits late and whoever is cut off, every client sees every event once, in one order', async () => {
  await using stand = await feedStand();
  // Two replicas give positions.
  await using notifier = createNotifier(stand.db.pool);
  await using wakeups = await createWakeups(stand.db.url);
  const log = createLogger('test', 'silent');
  await using _second = startFeedPositions({ pool: stand.db.pool, notifier, wakeups, log });

  let before = 0;
  const cuts = fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(writes, fc.array(cuts, { minLength: 1, maxLength: 4 }), async (plan, clients) => {
      const goal: { total?: number } = {};
      const reading = clients.map((clientCuts) => readAll(stand, clientCuts, () => goal.total));
      const total = before + (await write(stand, plan));
      goal.total = total;
      before = total;
      const seen = await Promise.all(reading);
      for (const events of seen) {
        expect(events).toHaveLength(total);
        expect(events.map(({ cursor }) => cursor)).toEqual(seen[0]!.map(({ cursor }) => cursor));
        for (const stream of STREAMS) {
          const seqs = events.filter((event) => event.stream === stream).map(({ seq }) => seq);
          expect(seqs).toEqual(Array.from({ length: seqs.length }, (_, index) => index + 1));
        }
      }
    }),
    { numRuns: 12 },
  );
});
