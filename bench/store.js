// How much slower lists, look-ups, claims and `attest` are in a large database than in a small one, asked in turns.
// npm run bench:store -- --jobs=1000000 --only=claim,life   (10 minutes, 12 GB of disk; an own PostgreSQL, or BENCH_POSTGRES_URL as superuser)
import { percentile } from './support/measure.js';
import { benchDatabase, benchPostgres } from './support/postgres.js';
import { runProgram } from './support/program.js';
import { CLAIMS, LIFE, LISTS, LOOK_UPS, OTHERS } from './support/store-figures.js';
import { fillStore } from './support/store-rows.js';
import { openSide } from './support/store-side.js';

const LIMIT_MS = 3_600_000;
const LARGE = 1_000_000;
const SMALL = 10_000;
const SAMPLES = 1_000;
const WARM_UP = 30;
const LIVES = 500;
/** Bar: p99 in the large database against that in the small one. */
const RATIO_BAR = 2;

const option = (name) => process.argv.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3);
const jobs = Number(option('jobs') ?? LARGE);
/** Beginnings of the names of what is measured; default all. */
const only = option('only')?.split(',');
const isWanted = (name) => only === undefined || only.some((wanted) => name.startsWith(wanted));
if (!Number.isSafeInteger(jobs) || jobs < SMALL) throw new Error(`--jobs must be ${SMALL} or more`);

await runProgram({ name: 'bench_store', limitMs: LIMIT_MS }, async ({ use, report, say, signal }) => {
  const server = use(await benchPostgres());
  const sides = [];
  for (const size of [SMALL, jobs]) {
    const { url } = use(await benchDatabase(server));
    const began = performance.now();
    const filled = await fillStore(url, { jobs: size, say: () => signal.throwIfAborted() });
    const [{ size: onDisk }] = await server.query(
      `select pg_size_pretty(pg_database_size('${new URL(url).pathname.slice(1)}')) as size`,
    );
    say(`${size} jobs: ${onDisk}, made in ${((performance.now() - began) / 1_000).toFixed(0)} s`);
    sides.push(use(await openSide(String(size), url, filled, SAMPLES)));
  }

  /** Reports p99 of the large side beside that of the small one. */
  const compare = (name, [small, large], barred) => {
    const [peer, value] = [small, large].map((times) => percentile(times, 0.99));
    const ratio = value / peer;
    report(`${name}_p99`, value, 'ms', {
      peer,
      ratio,
      ...(barred ? { bar: RATIO_BAR, ok: ratio <= RATIO_BAR } : {}),
    });
    say(`${name}: p50 ${percentile(small, 0.5).toFixed(2)} and ${percentile(large, 0.5).toFixed(2)} ms`);
  };
  /** Both sides in turns, the one that begins changes: what disturbs the machine hits both. */
  const inTurns = async (count, work) => {
    for (let i = 0; i < count; i++) {
      signal.throwIfAborted();
      for (const at of i % 2 === 0 ? [0, 1] : [1, 0]) await work(sides[at], at, i);
    }
  };
  const timed = async (work) => {
    const began = performance.now();
    const answer = await work();
    return [performance.now() - began, answer];
  };

  const measure = async ({ name, ask, then, ended = false, samples = SAMPLES }, barred) => {
    if (!isWanted(name)) return;
    const times = [[], []];
    await inTurns(WARM_UP + samples, async (side, at, i) => {
      const from = ended ? side.ended : side.subjects;
      const [ms, answer] = await timed(() => ask(side, from[i % from.length]));
      await then?.(side, answer);
      if (i >= WARM_UP) times[at].push(ms);
    });
    compare(name, times, barred);
  };
  for (const figure of [...LISTS, ...LOOK_UPS, ...CLAIMS]) await measure(figure, true);

  const lives = new Map(LIFE.map((step) => [step, [[], []]]));
  await inTurns(isWanted('life') ? WARM_UP + LIVES : 0, async (side, at, i) => {
    const steps = side.life.steps();
    for (const step of LIFE) {
      const [ms] = await timed(() => steps[step]());
      if (i >= WARM_UP) lives.get(step)[at].push(ms);
    }
  });
  for (const [step, times] of lives) {
    if (isWanted('life')) compare(`life_${step}`, times, step === 'attest');
  }
  for (const figure of OTHERS) await measure(figure, false);
});
