// How many jobs a second go all the way, from the signed submit to a receipt in the log and the feed, beside raw Temporal
// with no-op activities on the same server; what a job costs in time at one in flight; what a worker holds in memory.
// npm run bench:jobs   (8 minutes, the first time 3 more: builds a Temporal server; an own PostgreSQL, or BENCH_POSTGRES_URL)
//   --full   only the full server on PostgreSQL    --memory   only the memory of a worker over 10,000 executions
import { setTimeout as delay } from 'node:timers/promises';
import { cpuSeconds, familySeconds, median, residentMib } from './support/measure.js';
import { devTemporal, fullTemporal } from './support/full-temporal.js';
import { startStack } from './support/job-stack.js';
import { benchPostgres } from './support/postgres.js';
import { atLeast, atMost, runProgram } from './support/program.js';

const LIMIT_MS = 1_500_000;
const ROUNDS = 3;
const IN_FLIGHT = 32;
const PHASE = { inFlight: IN_FLIGHT, warmMs: 3_000, ms: 12_000 };
const WARM_UP = { inFlight: IN_FLIGHT, ms: 6_000 };
const SINGLE = { inFlight: 1, runs: 60 };
/** More than can be done in a phase. */
const PHASE_SUBMITS = 4_000;
const MEMORY_EXECUTIONS = 10_000;
/** Executions of a job in the memory run: many small jobs would take several times as long. */
const MEMORY_JOB = 18;
const SAMPLE_MS = 1_000;
/** Bars. */
const RATIO_BAR = 0.5;
const ADDED_BAR_MS = 25;
const WORKER_BAR_MIB = 400;
const FLAT_BAR = 0.1;

const only = new Set(process.argv.slice(2));

await runProgram({ name: 'bench_jobs', limitMs: LIMIT_MS }, async ({ use, report, say, signal }) => {
  const server = use(await benchPostgres());
  const full = use(await fullTemporal(server, say));
  say(`Temporal server ${full.version} on this PostgreSQL, 4 history shards, eager activities on`);
  const stack = use(await startStack(server, full, signal));
  if (!only.has('--memory')) await compare(stack, full, 'full', ROUNDS, true);
  if (only.size === 0 || only.has('--memory')) await memory(stack);
  await whole(stack);
  if (only.size > 0) return;
  await stack[Symbol.asyncDispose]();
  await full[Symbol.asyncDispose]();
  const dev = use(await devTemporal(server.folder));
  const small = use(await startStack(server, dev, signal));
  await compare(small, dev, 'dev', 1, false);

  /** Raw and ours in turns: completions a second at 32 in flight, and times at one. */
  async function compare(on, temporal, name, rounds, barred) {
    const seconds = () => ({
      api: cpuSeconds(on.processes.api.pid),
      relay: cpuSeconds(on.processes.relay.pid),
      worker: cpuSeconds(on.processes.worker.pid),
      'raw worker': cpuSeconds(on.processes.rawWorker.pid),
      temporal: cpuSeconds(temporal.pid ?? 0),
      postgres: server.pid === undefined ? NaN : familySeconds(server.pid),
      load: cpuSeconds(on.processes.load.pid),
    });
    const timed = async (side, options) => {
      await on.settle();
      await server.query('checkpoint');
      const before = seconds();
      const result = await on.run(side, options);
      const after = seconds();
      const cpu = Object.entries(after).map(([process, s]) => [
        process,
        Math.round(((s - before[process]) / result.all) * 100_000) / 100,
      ]);
      say(
        `${name}, ${options.inFlight} in flight, ${side === 'raw' ? `raw with ${options.activities}` : 'beacon'}: ${result.rate.toFixed(1)}/s, p50 ${result.p50.toFixed(0)}, p99 ${result.p99.toFixed(0)} ms, ms of CPU each ${JSON.stringify(Object.fromEntries(cpu))}`,
      );
      return result;
    };
    await on.prepare(PHASE_SUBMITS);
    await on.run('raw', { ...WARM_UP, activities: 1 });
    await on.run('beacon', WARM_UP);
    const rates = { one: [], two: [], ours: [] };
    const times = { two: [], ours: [], proofs: [] };
    for (let round = 0; round < rounds; round++) {
      await on.prepare(PHASE_SUBMITS);
      rates.one.push((await timed('raw', { ...PHASE, activities: 1 })).rate);
      rates.ours.push((await timed('beacon', PHASE)).rate);
      rates.two.push((await timed('raw', { ...PHASE, activities: 2 })).rate);
      await on.prepare(SINGLE.runs);
      times.two.push((await timed('raw', { ...SINGLE, activities: 2 })).p50);
      const ours = await timed('beacon', SINGLE);
      times.ours.push(ours.p50);
      times.proofs.push(ours.proofP50);
    }
    const [one, two, ours] = [rates.one, rates.two, rates.ours].map(median);
    report(`${name}_raw_one_activity_at_${IN_FLIGHT}`, one, 'workflows/s');
    report(`${name}_raw_two_activities_at_${IN_FLIGHT}`, two, 'workflows/s', { peer: one, ratio: two / one });
    report(`${name}_jobs_at_${IN_FLIGHT}`, ours, 'jobs/s', {
      peer: one,
      ratio: ours / one,
      ...(barred ? { bar: RATIO_BAR, ok: ours / one >= RATIO_BAR } : {}),
    });
    const added = median(times.ours) - median(times.two);
    report(`${name}_raw_two_activities_p50_at_1`, median(times.two), 'ms');
    report(`${name}_job_p50_at_1`, median(times.ours), 'ms', { peer: median(times.two) });
    report(`${name}_added_p50_at_1`, added, 'ms', barred ? atMost(added, ADDED_BAR_MS) : {});
    report(`${name}_log_entry_after_end_p50`, median(times.proofs), 'ms');
  }

  /** Executions without an end to the load: the worker's memory is sampled, the first fifth warms up. */
  async function memory({ run, prepare, settle, processes }) {
    await prepare(Math.ceil(MEMORY_EXECUTIONS / MEMORY_JOB), MEMORY_JOB);
    await settle();
    const samples = [];
    let over = false;
    const sampling = (async () => {
      while (!over) {
        samples.push(residentMib(processes.worker.pid));
        await delay(SAMPLE_MS, undefined, { signal });
      }
    })();
    const result = await run('beacon', { inFlight: 8, runs: Math.ceil(MEMORY_EXECUTIONS / MEMORY_JOB) });
    over = true;
    await sampling;
    const executions = result.told['execution.completed'];
    say(
      `${executions} executions in ${result.seconds.toFixed(0)} s, ${(executions / result.seconds).toFixed(0)}/s`,
    );
    const fifth = Math.floor(samples.length / 5);
    const early = median(samples.slice(fifth, 2 * fifth));
    const late = median(samples.slice(-fifth));
    report('worker_executions', executions, 'executions', atLeast(executions, MEMORY_EXECUTIONS));
    report('worker_rss_highest', Math.max(...samples), 'MiB', atMost(Math.max(...samples), WORKER_BAR_MIB));
    report('worker_rss_early', early, 'MiB');
    report('worker_rss_late', late, 'MiB', {
      peer: early,
      ratio: late / early,
      bar: 1 + FLAT_BAR,
      ok: Math.abs(late / early - 1) <= FLAT_BAR,
    });
  }

  /** Every execution that ended has its receipt and its entry in the log. */
  async function whole({ query, settle }) {
    await settle();
    const [row] = await query(
      `select (select count(*)::int from beacon.executions) as executions,
              (select count(*)::int from beacon.receipts) as receipts,
              (select count(*)::int from beacon.log_entries where subject_kind = 'receipt') as entries,
              (select count(*)::int from beacon.jobs where state <> 'completed') as other`,
    );
    const missing = 2 * row.executions - row.receipts - row.entries + row.other;
    report('jobs_not_whole', missing, 'jobs', { bar: 0, ok: missing === 0 });
  }
});
