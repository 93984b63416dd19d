// How many signed jobs a second the API takes in, beside pg-boss `send` behind the same route, and how soon it answers.
// npm run bench:submit   (2 minutes; an own PostgreSQL, or BENCH_POSTGRES_URL as superuser)
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { cpuSeconds, familySeconds, median, residentMib } from './support/measure.js';
import { benchDatabase, benchPostgres } from './support/postgres.js';
import { benchTemporal, startBeacon, startChild } from './support/processes.js';
import { atLeast, atMost, runProgram } from './support/program.js';

const LIMIT_MS = 420_000;
const ROUNDS = 3;
const PHASE_MS = 5_000;
const PHASE_REQUESTS = 30_000;
const CONNECTIONS = [32, 64];
const POOL = '10';
/** Long enough for both to be compiled; the first seconds of either cost twice as much. */
const WARM_UP_MS = 8_000;
const STEADY_MS = 12_000;
const REST_MS = 5_000;
const SETTLE_MS = 60_000;
/** At rest is who took less than this share of a core for so long. */
const IDLE_SHARE = 0.1;
const SETTLED_MS = 500;
const SUBMITS_OF_MEMORY = 20_000;
/** Bars. */
const RATIO_BAR = 2;
const ACK_BAR_MS = 50;
const REST_BAR_MIB = 150;
const LOADED_BAR_MIB = 300;

await runProgram({ name: 'bench_submit', limitMs: LIMIT_MS }, async ({ use, report, say, signal }) => {
  const server = use(await benchPostgres());
  const { folder } = server;
  const own = use(await benchDatabase(server));
  const other = use(await benchDatabase(server, { migrated: false }));
  const temporal = use(await benchTemporal(folder));
  const env = {
    DATABASE_URL: own.url,
    DATABASE_POOL: POOL,
    TEMPORAL_ADDRESS: temporal.address,
    HTTP_PORT: '0',
    BACKLOG_LIMIT: '10000000',
  };
  const relay = use(await startBeacon('relay', { folder, env }));
  const api = use(await startBeacon('serve', { folder, env }));
  const peer = use(
    startChild(fileURLToPath(new URL('support/pg-boss-server.js', import.meta.url)), {
      name: 'pg-boss',
      folder,
      env: { DATABASE_URL: other.url, DATABASE_POOL: POOL, NODE_ENV: 'production' },
    }),
  );
  const peerPort = Number(new URL((await peer.next((message) => message.ready)).url).port);
  const apiPort = Number(new URL(api.url).port);
  const load = use(
    startChild(fileURLToPath(new URL('support/load-process.js', import.meta.url)), { name: 'load', folder }),
  );

  const processorSeconds = () => ({
    api: cpuSeconds(api.pid),
    'pg-boss': cpuSeconds(peer.pid),
    relay: cpuSeconds(relay.pid),
    temporal: cpuSeconds(temporal.identity.pid),
    postgres: server.pid === undefined ? NaN : familySeconds(server.pid),
    load: cpuSeconds(load.pid),
  });

  let accepted = 0;
  let refused = 0;
  let loadedMib = NaN;

  const prepare = async (count, executions = 1) => {
    load.send({ prepare: count, executions });
    return load.next((message) => message.prepared !== undefined);
  };
  /** Sends what was prepared and returns what came back, with the jobs accepted a second. */
  const run = async (kind, options) => {
    signal.throwIfAborted();
    const before = processorSeconds();
    load.send({ [kind]: { ms: PHASE_MS, ...options } });
    const result = await load.next((message) => message.done, LIMIT_MS);
    const taken = result.answers[202] ?? 0;
    const asked = Object.values(result.answers).reduce((sum, count) => sum + count, 0);
    if (asked > taken) say(`not accepted: ${JSON.stringify(result.answers)}`);
    refused += asked - taken;
    const after = processorSeconds();
    const cpuUs = Object.fromEntries(
      Object.entries(after).map(([name, s]) => [name, Math.round(((s - before[name]) / taken) * 1e6)]),
    );
    if (options.port === apiPort) {
      accepted += taken;
      if (accepted >= SUBMITS_OF_MEMORY && Number.isNaN(loadedMib)) loadedMib = residentMib(api.pid);
    }
    return { ...result, rate: taken / result.seconds, cpuUs };
  };
  /** Until the relay has nothing left to do for the last phase, so that it does not work during the peer's. */
  const settle = async () => {
    const until = performance.now() + SETTLE_MS;
    for (let before = cpuSeconds(relay.pid); performance.now() < until;) {
      await delay(SETTLED_MS, undefined, { signal });
      const now = cpuSeconds(relay.pid);
      if (now - before < (SETTLED_MS / 1_000) * IDLE_SHARE) return;
      before = now;
    }
    throw new Error('the relay did not come to rest in time');
  };

  await delay(REST_MS, undefined, { signal });
  const restMib = residentMib(api.pid);
  report('api_rss_at_rest', restMib, 'MiB', atMost(restMib, REST_BAR_MIB));

  const { bytes } = await prepare(PHASE_REQUESTS);
  say(`one request has ${bytes} bytes; ${ROUNDS} rounds, each side ${PHASE_MS / 1_000} s a round`);
  await run('flood', { port: peerPort, connections: 32, ms: WARM_UP_MS });
  await run('flood', { port: apiPort, connections: 32, ms: WARM_UP_MS });

  const peaks = [];
  for (const connections of CONNECTIONS) {
    const ours = [];
    const theirs = [];
    for (let round = 0; round < ROUNDS; round++) {
      await prepare(PHASE_REQUESTS);
      await settle();
      await server.query('checkpoint');
      theirs.push(await run('flood', { port: peerPort, connections }));
      await server.query('checkpoint');
      ours.push(await run('flood', { port: apiPort, connections }));
      for (const [name, phase] of [
        ['pg-boss', theirs.at(-1)],
        ['beacon', ours.at(-1)],
      ]) {
        say(
          `${connections} connections, ${name}: ${phase.rate.toFixed(0)}/s, p99 ${phase.p99.toFixed(0)} ms, µs of CPU a job ${JSON.stringify(phase.cpuUs)}`,
        );
      }
    }
    const value = median(ours.map(({ rate }) => rate));
    const peerValue = median(theirs.map(({ rate }) => rate));
    const ratio = value / peerValue;
    peaks.push(value);
    report(`submit_at_${connections}_connections`, value, 'jobs/s', {
      peer: peerValue,
      ratio,
      bar: RATIO_BAR,
      ok: ratio >= RATIO_BAR,
    });
  }

  await settle();
  const rate = Math.max(...peaks) / 2;
  await prepare(Math.ceil((rate * STEADY_MS * 1.2) / 1_000));
  const steady = await run('poisson', { port: apiPort, connections: 256, ms: STEADY_MS, rate });
  say(
    `Poisson arrivals at ${rate.toFixed(0)}/s: ${steady.rate.toFixed(0)}/s accepted, longest ${steady.max.toFixed(0)} ms`,
  );
  report('submit_ack_p50_at_half_of_peak', steady.p50, 'ms');
  report('submit_ack_p99_at_half_of_peak', steady.p99, 'ms', atMost(steady.p99, ACK_BAR_MS));

  const many = [];
  for (let round = 0; round < ROUNDS; round++) {
    await prepare(PHASE_REQUESTS / 2, 18);
    await settle();
    await server.query('checkpoint');
    many.push(await run('flood', { port: apiPort, connections: 32 }));
  }
  report('submit_of_18_executions_at_32_connections', median(many.map((phase) => phase.rate)), 'jobs/s');
  report('api_rss_after_20000_submits', loadedMib, 'MiB', atMost(loadedMib, LOADED_BAR_MIB));
  report(`api_rss_at_the_end`, residentMib(api.pid), 'MiB');
  const [{ stored }] = await own.query('select count(*)::int as stored from beacon.jobs');
  report('submits_accepted', accepted, 'jobs', atLeast(accepted, SUBMITS_OF_MEMORY));
  report('submits_accepted_but_not_stored', accepted - stored, 'jobs', { bar: 0, ok: accepted === stored });
  report('submits_not_accepted', refused, 'jobs', atMost(refused, 0));
});
