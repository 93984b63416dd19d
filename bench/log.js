// How many entries a second the log takes beside Tessera on POSIX files, how soon a signed checkpoint covers an entry, how
// soon a pending entry has its proof, and how fast the sequencer drains a full outbox.
// npm run bench:log   (4 minutes; an own PostgreSQL, or BENCH_POSTGRES_URL as superuser; Go for the peer)
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { outboxFigures } from './support/log-outbox.js';
import { cpuSeconds, median, percentile } from './support/measure.js';
import { benchDatabase, benchPostgres } from './support/postgres.js';
import { startChild } from './support/processes.js';
import { atMost, runProgram } from './support/program.js';
import { startHammer, startTessera, tesseraPrograms } from './support/tessera.js';

const LIMIT_MS = 420_000;
const LEAF_BYTES = 600;
/** The hammer of the issue: writers that each wait for their answer, a tenth of the leaves for the second time. */
const HAMMER = { writers: 1_000, leafBytes: LEAF_BYTES, dupChance: 0.1 };
const ROUNDS = 3;
const WARM_MS = 4_000;
const COUNTED_MS = 12_000;
/** The hammer ends after what is counted. */
const HAMMER_S = (WARM_MS + COUNTED_MS) / 1_000 + 1;
const LOAD = { rate: 500, ms: 12_000, connections: 256, bytes: LEAF_BYTES };
/** Without the hammer: as many adds as the writers have under way. */
const FLOOD = { rate: Infinity, ms: COUNTED_MS, connections: HAMMER.writers, bytes: LEAF_BYTES };
/** Tessera's shortest time between checkpoints on files; and batch ages to try, the shortest first. */
const TESSERA_CHECKPOINT_MS = 100;
const TESSERA_AGES_MS = [10, 50, 250];
const STABLE_P99_MS = 2_000;
/** Tessera's entries/s as last seen beside ours (docs/performance.md), where it cannot be built. */
const RECORDED_TESSERA = 8_400;
/** Bars. */
const APPENDS_BAR = 0.9;
const SIGNED_BAR_MS = 100;
const PROOF_BAR_MS = 100;

const here = (file) => fileURLToPath(new URL(`./support/${file}`, import.meta.url));

await runProgram({ name: 'bench_log', limitMs: LIMIT_MS }, async ({ use, report, say, signal }) => {
  const programs = await tesseraPrograms(say);
  const isPeer = programs.missing === null;
  const server = use(await benchPostgres());
  const { folder } = server;
  const front = async () => {
    const database = await benchDatabase(server);
    const child = startChild(here('log-front.js'), { name: 'log-front', folder });
    child.send({ start: { databaseUrl: database.url, folder } });
    const { port, vkey, pids } = await child.next((message) => message.ready === true);
    return {
      port,
      vkey,
      pids,
      async [Symbol.asyncDispose]() {
        await child[Symbol.asyncDispose]();
        await database[Symbol.asyncDispose]();
      },
    };
  };
  const tessera = (batchAgeMs, awaited) =>
    startTessera({
      program: /** @type {{ server: string }} */ (programs).server,
      parent: folder,
      batchAgeMs,
      checkpointMs: awaited ? TESSERA_CHECKPOINT_MS : 1_000,
      awaited,
    });

  if (isPeer) {
    const rounds = { ours: [], tessera: [] };
    for (let round = 0; round < ROUNDS; round++) {
      for (const [name, start] of [
        ['ours', front],
        ['tessera', () => tessera(TESSERA_AGES_MS[1], false)],
      ]) {
        const figures = await hammered(await start(), programs.hammer, signal);
        rounds[name].push(figures);
        say(`${name}: ${JSON.stringify(figures)}`);
      }
    }
    const of = (name, key) => median(rounds[name].map((figures) => figures[key]));
    const peer = of('tessera', 'unique');
    const ratio = of('ours', 'unique') / peer;
    report('log_appends', of('ours', 'unique'), 'entries/s', {
      peer,
      ratio,
      bar: APPENDS_BAR,
      ok: ratio >= APPENDS_BAR,
    });
    report('log_appends_answers', of('ours', 'answered'), 'answers/s', { peer: of('tessera', 'answered') });
    report('log_appends_cpu', of('ours', 'cpu'), '% of one core, front and sequencer', {
      peer: of('tessera', 'cpu'),
    });
    report('log_appends_pushed_back', of('ours', 'pushback'), 'requests/s', {
      peer: of('tessera', 'pushback'),
    });
    report('log_appends_failed', of('ours', 'failed'), 'requests/s', {
      peer: of('tessera', 'failed'),
      ...atMost(of('ours', 'failed'), 0),
    });
  } else {
    say(
      `Tessera cannot be had here: ${programs.missing}. No hammer either: ours by an own load, beside what Tessera did when it was measured last`,
    );
    const flood = use(startChild(here('add-load.js'), { name: 'add-flood', folder }));
    const { answers, seconds } = await loaded(await front(), flood, FLOOD);
    const ours = (answers[200] ?? 0) / seconds;
    report('log_appends', ours, 'entries/s', {
      peer: RECORDED_TESSERA,
      ratio: ours / RECORDED_TESSERA,
      bar: APPENDS_BAR,
      ok: ours / RECORDED_TESSERA >= APPENDS_BAR,
    });
  }

  const load = use(startChild(here('add-load.js'), { name: 'add-load', folder }));
  const signed = await loaded(await front(), load, LOAD);
  say(`add to signed checkpoint at ${LOAD.rate}/s, ours: ${JSON.stringify(signed)}`);
  report('log_add_signed_p50', signed.p50, 'ms');
  report('log_add_signed_p99', signed.p99, 'ms', {
    bar: SIGNED_BAR_MS,
    ok: signed.p99 <= SIGNED_BAR_MS && isStable(signed),
  });
  for (const age of isPeer ? TESSERA_AGES_MS : []) {
    const theirs = await loaded(await tessera(age, true), load, LOAD);
    say(`the same, Tessera with a batch age of ${age} ms: ${JSON.stringify(theirs)}`);
    if (!isStable(theirs)) continue;
    const ratio = signed.p99 / theirs.p99;
    report('log_add_signed_p99_beside_tessera', signed.p99, 'ms', {
      peer: theirs.p99,
      ratio,
      bar: 1,
      ok: ratio <= 1,
    });
    break;
  }

  const { url } = use(await benchDatabase(server));
  const { proofMs, drained } = await outboxFigures({ url, folder, leafBytes: LEAF_BYTES, signal, use });
  for (const [name, at] of [
    ['p50', 0.5],
    ['p95', 0.95],
    ['p99', 0.99],
  ]) {
    const value = percentile(proofMs, at);
    report(`log_proof_after_commit_${name}`, value, 'ms', atMost(value, PROOF_BAR_MS));
  }
  report('log_drain', drained, 'entries/s');
});

/** What a log's server says of its answers. */
async function counts({ port }) {
  return (await fetch(`http://127.0.0.1:${port}/counts`)).json();
}

/** Runs `work` with a part and ends the part, also when the work fails. */
async function within(part, work) {
  try {
    return await work(part);
  } finally {
    await part[Symbol.asyncDispose]();
  }
}

/** What a log answered under the hammer, a second; indexes count once. Ends the log. */
function hammered(log, program, signal) {
  const options = { program, port: log.port, vkey: log.vkey, ...HAMMER, seconds: HAMMER_S };
  const used = () => (log.pids ?? [log.pid]).reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  return within(log, () =>
    within(startHammer(options), async (hammer) => {
      await delay(WARM_MS, undefined, { signal });
      const [before, began, cpu] = [await counts(log), performance.now(), used()];
      await delay(COUNTED_MS, undefined, { signal });
      const [after, seconds] = [await counts(log), (performance.now() - began) / 1_000];
      const cpuUsed = used() - cpu;
      const said = await hammer.ended;
      if (after.answered === before.answered) throw new Error(`the hammer got no answer: ${said}`);
      const rate = (key) => Math.round((after[key] - before[key]) / seconds);
      return {
        unique: rate('unique'),
        answered: rate('answered'),
        pushback: rate('pushback'),
        failed: rate('failed'),
        cpu: Math.round((100 * cpuUsed) / seconds),
      };
    }),
  );
}

/** What a log does with a load at random instants. Ends the log. */
function loaded(log, load, add) {
  return within(log, async ({ port }) => {
    const done = load.next((message) => message.done === true, add.ms + 60_000);
    load.send({ add: { port, ...add } });
    const { answers, seconds, p50, p99, max } = await done;
    return { answers, seconds, p50, p99, max };
  });
}

/** Everything was answered, in a time that does not grow with the load. */
function isStable({ answers, p99 }) {
  return Object.keys(answers).every((status) => status === '200') && p99 < STABLE_P99_MS;
}
