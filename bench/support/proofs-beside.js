/** For `bench:proofs`: what 500 proofs a second cost the intake of jobs, at half of its peak and at its peak. */
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { generateReceiptKey } from '../../dist/attestation/keys/receipt-key.js';
import { openLog } from '../../dist/attestation/log/open.js';
import { registerFirstReceiptKey } from '../../dist/attestation/log/receipt-keys.js';
import { createPool } from '../../dist/store/pool.js';
import { cpuSeconds, eventLoopSeconds, familySeconds, median } from './measure.js';
import { benchDatabase } from './postgres.js';
import { benchTemporal, startBeacon, startChild } from './processes.js';

const ENTRIES = 20_000;
const LOT = 2_000;
const LEAF_BYTES = 600;
const PEAK_ROUNDS = 2;
const HALF_ROUNDS = 5;
const WARM_UP_MS = 5_000;
const PEAK_MS = 5_000;
const HALF_MS = 8_000;
/** From idle to a steady load, with the pages that a checkpoint makes PostgreSQL write whole once; not counted. */
const HALF_WARM_MS = 2_000;
const PEAK_REQUESTS = 15_000;
/** Submits that are made ready, beside those that are due on average: chance makes it more now and then. */
const SPARE = 1.2;
const FLOOD_CONNECTIONS = 64;
const STEADY_CONNECTIONS = 256;
const PROOFS = { rate: 500, connections: 64 };
/** Issue bars. */
const ACCEPTED_BAR = 0.98;
const ACK_BAR = 1.25;

export async function measureBeside({ use, report, say, signal }, server) {
  const { folder } = server;
  const bench = use(await benchDatabase(server));
  const { url } = bench;
  const temporal = use(await benchTemporal(folder));
  const env = {
    DATABASE_URL: url,
    TEMPORAL_ADDRESS: temporal.address,
    HTTP_PORT: '0',
    BACKLOG_LIMIT: '10000000',
  };
  const relay = use(await startBeacon('relay', { folder, env }));
  const api = use(await startBeacon('serve', { folder, env }));
  const port = Number(new URL(api.url).port);
  const size = await fillLog(url, signal);
  const child = (name) =>
    use(startChild(fileURLToPath(new URL(`./${name}.js`, import.meta.url)), { name, folder }));
  const [load, proofs] = [child('load-process'), child('proof-load')];

  const cpu = () => ({
    api: cpuSeconds(api.pid),
    event_loop: eventLoopSeconds(api.pid).ran,
    postgres: server.pid === undefined ? NaN : familySeconds(server.pid),
    relay: cpuSeconds(relay.pid),
    load: cpuSeconds(load.pid),
    proof_load: cpuSeconds(proofs.pid),
  });
  const submit = async (kind, options, beside) => {
    signal.throwIfAborted();
    const ms = options.ms + (options.warmMs ?? 0);
    const due = options.rate === undefined ? PEAK_REQUESTS : options.rate * (ms / 1_000) * SPARE;
    load.send({ prepare: Math.ceil(due) });
    await load.next((message) => message.prepared !== undefined, 120_000);
    // What PostgreSQL would else do by itself once a minute, in whichever round that falls.
    await bench.query('vacuum (analyze)');
    await server.query('checkpoint');
    const before = cpu();
    const asked = beside ? proofs.next((message) => message.done === true, 120_000) : undefined;
    if (beside) proofs.send({ ask: { port, ms, size, ...PROOFS } });
    load.send({ [kind]: { port, ...options } });
    const { inTime, p99 } = await load.next((message) => message.done, 120_000);
    const proved = await asked;
    const after = cpu();
    const used = Object.fromEntries(Object.keys(after).map((key) => [key, after[key] - before[key]]));
    return { rate: inTime / (options.ms / 1_000), p99, proved, used };
  };
  const inTurns = async (kind, rounds, optionsOf) => {
    /** @type {[any[], any[]]} */
    const [without, beside] = [[], []];
    for (let round = 0; round < rounds; round++) {
      // The same instants for both; and who comes second, and finds more in the tables, changes.
      const same = { ...(await optionsOf()), seed: round + 1 };
      const order = round % 2 === 0 ? [false, true] : [true, false];
      for (const isBeside of order) {
        (isBeside ? beside : without).push(await submit(kind, same, isBeside));
      }
      const { answers, p50, p99 } = beside.at(-1).proved;
      say(
        `${kind}: ${without.at(-1).rate.toFixed(0)}/s, p99 ${without.at(-1).p99.toFixed(0)} ms; with proofs ${beside.at(-1).rate.toFixed(0)}/s, p99 ${beside.at(-1).p99.toFixed(0)} ms; proofs ${JSON.stringify(answers)}, p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`,
      );
    }
    const of = (all, key) => median(all.map((round) => round[key]));
    return {
      rate: [of(without, 'rate'), of(beside, 'rate')],
      p99: [of(without, 'p99'), of(beside, 'p99')],
      // Of each round, whose load is its own.
      ratios: Object.fromEntries(
        ['rate', 'p99'].map((key) => [key, median(beside.map((round, i) => round[key] / without[i][key]))]),
      ),
      proofs: median(beside.map(({ proved }) => (proved.answers[200] ?? 0) / proved.seconds)),
      proofUs: perProof(without, beside),
    };
  };

  await submit('flood', { connections: FLOOD_CONNECTIONS, ms: WARM_UP_MS }, true);
  const peak = await inTurns('flood', PEAK_ROUNDS, () => ({
    connections: FLOOD_CONNECTIONS,
    ms: PEAK_MS,
  }));
  report('accepted_at_peak_beside_proofs', peak.rate[1], 'jobs/s', {
    peer: peak.rate[0],
    ratio: peak.ratios.rate,
  });
  report('proofs_at_peak', peak.proofs, 'proofs/s');

  const half = await inTurns('poisson', HALF_ROUNDS, async () => {
    // Of this minute: the machine is not equally fast all the time, and tables grow.
    const { rate } = await submit('flood', { connections: FLOOD_CONNECTIONS, ms: PEAK_MS }, false);
    return { connections: STEADY_CONNECTIONS, ms: HALF_MS, warmMs: HALF_WARM_MS, rate: rate / 2 };
  });
  const accepted = { peer: half.rate[0], ratio: half.ratios.rate };
  report('accepted_at_half_beside_proofs', half.rate[1], 'jobs/s', {
    ...accepted,
    bar: ACCEPTED_BAR,
    ok: accepted.ratio > ACCEPTED_BAR,
  });
  const ack = { peer: half.p99[0], ratio: half.ratios.p99 };
  report('ack_p99_at_half_beside_proofs', half.p99[1], 'ms', {
    ...ack,
    bar: ACK_BAR,
    ok: ack.ratio < ACK_BAR,
  });
  report('proofs_at_half', half.proofs, 'proofs/s', {
    bar: 0.95 * PROOFS.rate,
    ok: half.proofs >= 0.95 * PROOFS.rate,
  });
  for (const [who, us] of Object.entries(half.proofUs)) report(`proof_cpu_${who}`, us, 'µs/proof');
}

/** Processor time that each process used more with proofs than without, for each of them. */
function perProof(without, beside) {
  const sum = (all, key) => all.reduce((total, { used }) => total + used[key], 0);
  const proved = beside.reduce((total, { proved: { answers } }) => total + (answers[200] ?? 0), 0);
  return Object.fromEntries(
    Object.keys(beside[0].used).map((key) => [key, ((sum(beside, key) - sum(without, key)) / proved) * 1e6]),
  );
}

/** Entries for the relay's sequencer to take in; resolves with the size of the log once they are shown. */
async function fillLog(databaseUrl, signal) {
  const pool = createPool({ databaseUrl, name: 'bench' });
  try {
    const { logId } = await openLog(pool);
    const key = generateReceiptKey();
    await registerFirstReceiptKey(pool, logId, key);
    for (let put = 0; put < ENTRIES; put += LOT) {
      const ids = Array.from({ length: LOT }, () => randomUUID());
      await pool.query(
        `insert into log_pending (log_id, subject_kind, subject_id, version, leaf, key_id, execution_id)
         select $1, 'receipt', id, 1, leaf, $2, id::uuid from unnest($3::text[], $4::bytea[]) as p (id, leaf)`,
        [logId, key.id, ids, ids.map(() => randomBytes(LEAF_BYTES))],
      );
    }
    for (;;) {
      const { rows } = await pool.query('select published from log_state where log_id = $1', [logId]);
      if (rows[0].published > ENTRIES) return rows[0].published;
      await delay(50, undefined, { signal });
    }
  } finally {
    await pool.end();
  }
}
