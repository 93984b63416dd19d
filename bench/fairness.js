// How long a key's single job takes while another key has thousands queued, beside its time on an idle stack. Programs run.
// npm run bench:fairness   (3 minutes; an own PostgreSQL, or BENCH_POSTGRES_URL as superuser)
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createConnection, postRequest } from './support/http-connection.js';
import { median } from './support/measure.js';
import { benchDatabase, benchPostgres } from './support/postgres.js';
import { benchTemporal, startBeacon } from './support/processes.js';
import { atLeast, atMost, runProgram } from './support/program.js';
import { generateKey, signedBody, spec } from './support/specs.js';

const LIMIT_MS = 900_000;
const FLOOD_JOBS = 5_000;
const FLOOD_SECONDS = 0.1;
const FLOOD_CONNECTIONS = 16;
const SINGLE_SECONDS = 2;
const ROUNDS = 5;
/** Between the single jobs, so that the flood fills every place again. */
const BETWEEN_MS = 1_000;
const LOOK_MS = 10;
const ENDED_WITHIN_MS = 120_000;
/** So many of the flood must still wait at the end, or nothing was shown. */
const FLOOD_LEFT = 1_000;
/** Bar. */
const RATIO_BAR = 2;

const seconds = (/** @type {number[]} */ times) => times.map((ms) => (ms / 1_000).toFixed(2)).join(', ');

await runProgram({ name: 'bench_fairness', limitMs: LIMIT_MS }, async ({ use, report, say, signal }) => {
  const server = use(await benchPostgres());
  const { folder } = server;
  const { url: databaseUrl, query } = use(await benchDatabase(server));
  const temporal = use(await benchTemporal(folder));
  const env = {
    DATABASE_URL: databaseUrl,
    TEMPORAL_ADDRESS: temporal.address,
    HTTP_PORT: '0',
    BEACON_REACHABLE: path.join(folder, 'reachable'),
    LOCAL_PROCESS_DIGESTS: 'shipped',
  };
  use(await startBeacon('relay', { folder, env }));
  const api = use(await startBeacon('serve', { folder, env }));
  use(await startBeacon('worker', { folder, env }));
  const port = Number(new URL(api.url).port);

  /** Single jobs that have ended, in order. */
  const ids = [];
  /** The milliseconds from before its submit until a job of its own key has ended. */
  const single = async () => {
    const { id, body } = sleepJob(SINGLE_SECONDS, generateKey());
    const connection = createConnection({ port });
    const began = performance.now();
    const { status } = await connection.ask(postRequest(body));
    if (status !== 202) throw new Error(`a single job was answered ${status}`);
    for (;;) {
      signal.throwIfAborted();
      const answer = await fetch(`${api.url}/api/v1/jobs/${id}`);
      const job = await answer.json();
      const ms = performance.now() - began;
      if (job.status === 'completed') {
        connection.close();
        ids.push(id);
        return ms;
      }
      if (!['accepted', 'running'].includes(job.status)) throw new Error(`a single job ended ${job.status}`);
      if (ms > ENDED_WITHIN_MS) throw new Error(`a single job is ${job.status} after ${ms / 1_000} s`);
      await delay(LOOK_MS);
    }
  };
  /** Where the time of the last ones went. */
  const steps = async () => {
    const rows = await query(
      `select round(extract(epoch from a.created_at - j.created_at)::numeric, 2) as begun,
              round(extract(epoch from a.ended_at - a.created_at)::numeric, 2) as ran,
              round(extract(epoch from j.ended_at - a.ended_at)::numeric, 2) as attested
       from beacon.jobs j join beacon.executions e on e.job_id = j.id join beacon.attempts a on a.execution_id = e.id
       where j.id in (${ids
         .slice(-ROUNDS)
         .map((id) => `'${id}'`)
         .join()}) order by j.created_at`,
    );
    return rows.map(({ begun, ran, attested }) => `${begun} + ${ran} + ${attested}`).join(', ');
  };
  const waiting = async () => {
    const [{ left }] = await query(`select count(*)::int as left from beacon.jobs where state = 'accepted'`);
    return left;
  };

  const idle = [];
  for (let round = 0; round < ROUNDS; round++) idle.push(await single());
  say(`idle: ${seconds(idle)} s; until it began, ran, ended: ${await steps()}`);

  const key = generateKey();
  const requests = Array.from({ length: FLOOD_JOBS }, () => postRequest(sleepJob(FLOOD_SECONDS, key).body));
  let accepted = 0;
  await Promise.all(
    Array.from({ length: FLOOD_CONNECTIONS }, async () => {
      const connection = createConnection({ port });
      for (let next = requests.pop(); next !== undefined; next = requests.pop()) {
        if ((await connection.ask(next)).status === 202) accepted++;
      }
      connection.close();
    }),
  );
  const flooded = performance.now();
  const before = await waiting();
  say(`${accepted} jobs of one key accepted, ${before} of them wait`);

  const busy = [];
  for (let round = 0; round < ROUNDS; round++) {
    await delay(BETWEEN_MS, undefined, { signal });
    busy.push(await single());
  }
  const left = await waiting();
  const rate = (before - left) / ((performance.now() - flooded) / 1_000);
  const [{ isolation }] = await query(
    `select outcome->>'isolation' as isolation from beacon.attempts where outcome is not null limit 1`,
  );
  say(
    `beside it: ${seconds(busy)} s; until it began, ran, ended: ${await steps()}; programs ran as ${isolation}`,
  );

  report('flood_accepted', accepted, 'jobs', atLeast(accepted, FLOOD_JOBS));
  report('flood_waiting_at_the_end', left, 'jobs', atLeast(left, FLOOD_LEFT));
  report('flood_ended', rate, 'jobs/s');
  const value = Math.max(...busy) / 1_000;
  const peer = median(idle) / 1_000;
  const ratio = value / peer;
  report('single_job_beside_a_flood', value, 's', { peer, ratio, ...atMost(ratio, RATIO_BAR) });
});

/** A signed job whose one program waits. */
function sleepJob(/** @type {number} */ wait, /** @type {import('./support/specs.js').Key} */ key) {
  const plain = spec(1);
  const { benchmark } = plain;
  const unsigned = {
    ...plain,
    benchmark: {
      ...benchmark,
      container: { image: 'builtin:sleep', tag: '' },
      input: { ...benchmark.input, data: { seconds: wait } },
    },
  };
  return { id: unsigned.id, body: signedBody(unsigned, key) };
}
