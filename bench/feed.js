// How soon the feed's clients have an event, from its commit; none lost, none doubled, beside clients that stall.
// npm run bench:feed   (2 minutes; an own PostgreSQL, or BENCH_POSTGRES_URL as superuser)
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startFeedPositions } from '../dist/worker/feed-positions.js';
import { createLogger } from '../dist/observability/log.js';
import { appendToStream } from '../dist/store/events.js';
import { createNotifier, createWakeups } from '../dist/store/notify.js';
import { createPool, withTransaction } from '../dist/store/pool.js';
import { cpuSeconds, machineMs, percentile, residentMib } from './support/measure.js';
import { benchDatabase, benchPostgres } from './support/postgres.js';
import { startBeacon, startChild } from './support/processes.js';
import { atMost, runProgram } from './support/program.js';

const LIMIT_MS = 300_000;
/** Longer than the 30 s that a client may take to read a chunk of older events: the stalled one is thrown out meanwhile. */
const PHASE_MS = 35_000;
const PHASES = [
  { clients: 200, eventsPerSecond: 100 },
  { clients: 1_000, eventsPerSecond: 10 },
];
const ARRIVED_WITHIN_MS = 15_000;
const RELEASE_MS = 15_000;
/** So that the buffers of the kernel and the server fill within a phase when somebody does not read. */
const PAYLOAD_TEXT = 'what happened to an execution, told at the length of a long error message '.repeat(8);
const HISTORY_EVENTS = 4_000;
const HISTORY_TEXT = 'h'.repeat(4_000);
/** Bar. */
const ARRIVAL_BAR_MS = 100;

await runProgram({ name: 'bench_feed', limitMs: LIMIT_MS }, async ({ use, report, say, signal }) => {
  const server = use(await benchPostgres());
  const { folder } = server;
  const { url: databaseUrl, query } = use(await benchDatabase(server));
  const pool = createPool({ databaseUrl, name: 'bench' });
  use({ [Symbol.asyncDispose]: () => pool.end() });
  const notifier = use(createNotifier(pool));
  const wakeups = use(await createWakeups(databaseUrl));
  // The relay's part for the feed; the rest of a relay has nothing to do here and would want a Temporal.
  use(startFeedPositions({ pool, notifier, wakeups, log: createLogger('bench', 'warn') }));
  const api = use(
    await startBeacon('serve', {
      folder,
      env: { DATABASE_URL: databaseUrl, HTTP_PORT: '0', FEED_CLIENTS: '2000', FEED_CLIENTS_PER_IP: '2000' },
    }),
  );
  const feedUrl = `${api.url.replace('http', 'ws')}/ws`;

  await pool.query(
    `insert into events (stream, seq, type, payload)
     select 'history', n, 'execution.completed', json_build_object('n', n, 'text', $2::text)
     from generate_series(1, $1::int) as n`,
    [HISTORY_EVENTS, HISTORY_TEXT],
  );
  notifier.notify('events');
  await untilPositioned();

  for (const [number, { clients, eventsPerSecond }] of PHASES.entries()) {
    const stream = `bench-${number}`;
    const total = (eventsPerSecond * PHASE_MS) / 1_000;
    const readers = use(
      startChild(fileURLToPath(new URL('support/feed-clients.js', import.meta.url)), {
        name: `feed-clients-${number}`,
        folder,
      }),
    );
    readers.send({ open: { url: feedUrl, clients, total, stalled: ['', '?from=start'] } });
    await readers.next((message) => message.opened);
    const before = [api.pid, readers.pid].map(cpuSeconds);

    /** When each event was known to be committed, which is after it was: no time is flattered by more than a round trip. */
    const committed = new Float64Array(total);
    const began = performance.now();
    const writes = [];
    for (let i = 0; i < total; i++) {
      const dueMs = began + (i * 1_000) / eventsPerSecond - performance.now();
      if (dueMs > 1) await delay(dueMs, undefined, { signal });
      writes.push(
        withTransaction(pool, (tx) =>
          appendToStream(tx, stream, [
            {
              type: 'job.started',
              payload: { n: i, text: PAYLOAD_TEXT, timestamp: new Date().toISOString() },
            },
          ]),
        ).then(([{ seq }]) => {
          committed[seq - 1] = machineMs();
          notifier.notify('events');
        }),
      );
    }
    await Promise.all(writes);
    const seconds = (performance.now() - began) / 1_000;
    const [apiS, readersS] = [api.pid, readers.pid].map((pid, i) => cpuSeconds(pid) - before[i]);
    readers.send({ collect: { total, withinMs: ARRIVED_WITHIN_MS } });
    const { arrivals, doubled, disordered, received, closes } = await readers.next(
      (message) => message.collected,
    );
    readers.send({ release: { withinMs: RELEASE_MS } });
    const { released } = await readers.next((message) => message.released);
    const rss = residentMib(api.pid);
    readers.send({ close: true });
    await readers.next((message) => message.closed);

    const times = new Float64Array(received);
    let filled = 0;
    for (const client of arrivals) {
      for (const [index, at] of client.entries()) if (at !== 0) times[filled++] = at - committed[index];
    }
    const name = `feed_${clients}_clients_${eventsPerSecond}_events`;
    say(
      `${clients} clients × ${eventsPerSecond}/s for ${seconds.toFixed(0)} s: CPU of the API ${((apiS / seconds) * 100).toFixed(0)} %, of the clients ${((readersS / seconds) * 100).toFixed(0)} %; stalled clients ended as ${JSON.stringify(released)}`,
    );
    const samples = times.subarray(0, filled);
    report(`${name}_p50`, percentile(samples, 0.5), 'ms');
    const p99 = percentile(samples, 0.99);
    report(`${name}_p99`, p99, 'ms', atMost(p99, ARRIVAL_BAR_MS));
    report(`${name}_longest`, percentile(samples, 1), 'ms');
    report(`${name}_lost`, total * clients - filled, 'events', atMost(total * clients - filled, 0));
    report(
      `${name}_doubled_or_out_of_order`,
      doubled + disordered,
      'events',
      atMost(doubled + disordered, 0),
    );
    report(`${name}_readers_closed`, closes, 'clients', atMost(closes, 0));
    const kept = released.filter((end) => end === 'open').length;
    report(`${name}_stalled_and_kept`, kept, 'clients');
    report(`${name}_api_rss`, rss, 'MiB');
    await readers[Symbol.asyncDispose]();
  }

  async function untilPositioned() {
    for (;;) {
      const [{ waiting }] = await query(
        'select count(*)::int as waiting from beacon.events where position is null',
      );
      if (waiting === 0) return;
      await delay(50, undefined, { signal });
    }
  }
});
