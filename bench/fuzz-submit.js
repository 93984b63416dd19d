// Whether intake survives what it may be sent: mutated and random bodies, floods of large bad specs, connections that
// do not get on. npm run fuzz:submit [-- --short] [-- --seed=N]   (8 minutes, short 2; an own PostgreSQL)
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createConnection, getRequest, postRequest } from './support/http-connection.js';
import { isSigned } from './support/independent-check.js';
import { percentile, residentMib } from './support/measure.js';
import { createMutator } from './support/mutations.js';
import { benchDatabase, benchPostgres } from './support/postgres.js';
import { startBeacon, startChild } from './support/processes.js';
import { atMost, runProgram } from './support/program.js';
import { seededRandom } from './support/random.js';
import { generateKey, signedBody, spec } from './support/specs.js';

const short = process.argv.includes('--short');
const seed = Number(
  process.argv.find((word) => word.startsWith('--seed='))?.slice(7) ?? Math.floor(Math.random() * 2 ** 32),
);
const LIMIT_MS = short ? 300_000 : 900_000;
const BODIES = short ? 5_000 : 100_000;
const CONNECTIONS = 32;
/** The heap has its size after this share of the bodies. */
const WARM_SHARE = 0.3;
const GROWTH_BAR_MIB = 40;
const FLOOD_MS = short ? 8_000 : 30_000;
const FLOOD_PER_SECOND = 50;
const HALF_OPEN = short ? 200 : 1_000;
/** The 30 s of a request, and the 30 s after which Node looks again who is late. */
const DROPPED_BAR_S = 65;
const DRIP_EVERY_MS = 1_000;
const LIVE_BAR_MS = 1_000;
const PROBE_EVERY_MS = 50;
const GOOD_EVERY_MS = 500;
const OTHER_ADDRESS = '127.0.0.2';
const SHOWN = 5;

await runProgram({ name: 'fuzz_submit', limitMs: LIMIT_MS }, async ({ use, report, say, signal }) => {
  say(`seed ${seed}`);
  const server = use(await benchPostgres());
  const { folder } = server;
  const database = use(await benchDatabase(server));
  const env = { DATABASE_URL: database.url, HTTP_PORT: '0', BACKLOG_LIMIT: '10000000' };

  await bodies();
  const api = use(await startBeacon('serve', { folder, env }));
  const port = Number(new URL(api.url).port);
  await flood();
  await halfOpen();

  async function bodies() {
    const open = { ...env, FAILURES_PER_IP: '1000000000', FAILURES_PER_IP_AND_KEY: '1000000000' };
    const fuzzed = use(await startBeacon('serve', { folder, env: open }));
    const target = Number(new URL(fuzzed.url).port);
    const { next } = createMutator(seededRandom(seed));
    const answers = {};
    const wrong = { server_error: [], unsigned: [], refused: [], lost: [] };
    const memory = [];
    let sent = 0;
    let accepted = 0;
    const began = performance.now();
    await Promise.all(
      Array.from({ length: CONNECTIONS }, async () => {
        const connection = createConnection({ port: target });
        while (sent < BODIES && !signal.aborted) {
          const number = sent++;
          const { body, kind, expected } = next();
          const { status, body: said } = await connection
            .ask(postRequest(body))
            .catch((error) => ({ status: 0, body: error.message }));
          answers[status] = (answers[status] ?? 0) + 1;
          const told = {
            number,
            kind,
            status,
            said: said.slice(0, 200),
            body: body.toString('latin1', 0, 300),
          };
          if (status === 0) wrong.lost.push(told);
          if (status >= 500) wrong.server_error.push(told);
          if (status === 200 || status === 202) {
            accepted++;
            if (expected === 'refused' || !isSigned(body)) wrong.unsigned.push(told);
          } else if (expected === 'accepted') wrong.refused.push(told);
          if (number % 250 === 0) memory.push(residentMib(fuzzed.pid));
        }
        connection.close();
      }),
    );
    const seconds = (performance.now() - began) / 1_000;
    say(`${sent} bodies in ${seconds.toFixed(0)} s, answers ${JSON.stringify(answers)}`);
    for (const [what, found] of Object.entries(wrong)) {
      for (const told of found.slice(0, SHOWN)) say(`${what}: ${JSON.stringify(told)}`);
    }
    const warm = memory.slice(Math.floor(memory.length * WARM_SHARE));
    const third = Math.max(1, Math.floor(warm.length / 3));
    const [early, late] = [warm.slice(0, third), warm.slice(-third)].map((part) => percentile(part, 0.5));
    report('fuzz_bodies', sent, 'bodies');
    report('fuzz_server_errors', wrong.server_error.length, 'answers', atMost(wrong.server_error.length, 0));
    report('fuzz_lost', wrong.lost.length, 'requests', atMost(wrong.lost.length, 0));
    report('fuzz_unsigned_accepted', wrong.unsigned.length, 'jobs', atMost(wrong.unsigned.length, 0));
    report('fuzz_signed_refused', wrong.refused.length, 'jobs', atMost(wrong.refused.length, 0));
    const [{ stored }] = await database.query('select count(*)::int as stored from beacon.jobs');
    const lost = answers[202] - stored;
    report('fuzz_accepted', accepted, 'jobs', { bar: 1, ok: accepted > 0 });
    report('fuzz_accepted_but_not_stored', lost, 'jobs', { bar: 0, ok: lost === 0 });
    report('fuzz_rss_growth', late - early, 'MiB', {
      peer: early,
      ratio: late / early,
      ...atMost(late - early, GROWTH_BAR_MIB),
    });
    report('fuzz_rss_highest', Math.max(...memory), 'MiB');
    await fuzzed[Symbol.asyncDispose]();
  }

  /** While it is open: how soon /health/live answers, and whether good jobs from another address are taken. */
  function watchOthers() {
    const times = [];
    const good = { accepted: 0, other: [] };
    const over = new AbortController();
    const ended = AbortSignal.any([over.signal, signal]);
    const key = generateKey();
    const every = async (ms, work) => {
      const running = [];
      while (!ended.aborted) {
        running.push(work());
        await delay(ms, undefined, { signal: ended }).catch(() => undefined);
      }
      await Promise.all(running);
    };
    const ask = async (request) => {
      const connection = createConnection({ port, localAddress: OTHER_ADDRESS });
      try {
        return await connection.ask(request);
      } catch (error) {
        return { status: 0, body: error.message };
      } finally {
        connection.close();
      }
    };
    const watching = Promise.all([
      every(PROBE_EVERY_MS, async () => {
        const asked = performance.now();
        const { status } = await ask(getRequest('/health/live'));
        const ms = performance.now() - asked;
        // Another answer, or none, is a miss however soon it came.
        times.push(status === 200 ? ms : Math.max(ms, LIVE_BAR_MS + 1));
      }),
      every(GOOD_EVERY_MS, async () => {
        const { status, body } = await ask(postRequest(signedBody(spec(), key)));
        if (status === 202) good.accepted++;
        else good.other.push(`${status} ${body.slice(0, 200)}`);
      }),
    ]);
    return async () => {
      over.abort();
      await watching;
      for (const told of good.other.slice(0, SHOWN)) say(`a good job was answered: ${told}`);
      return { times, good };
    };
  }

  async function reportOthers(name, end) {
    const { times, good } = await end();
    const p99 = percentile(times, 0.99);
    report(`${name}_health_live_p99`, p99, 'ms', atMost(p99, LIVE_BAR_MS));
    const { length } = good.other;
    report(`${name}_good_jobs_accepted`, good.accepted, 'jobs', { bar: 1, ok: good.accepted > 0 });
    report(`${name}_good_jobs_refused`, length, 'jobs', atMost(length, 0));
    report(`${name}_api_rss`, residentMib(api.pid), 'MiB');
  }

  async function flood() {
    const flooding = use(
      startChild(fileURLToPath(new URL('support/flood-process.js', import.meta.url)), {
        name: 'flood',
        folder,
      }),
    );
    const end = watchOthers();
    const done = flooding.next((message) => message.done, FLOOD_MS + 60_000);
    flooding.send({ port, rate: FLOOD_PER_SECOND, ms: FLOOD_MS });
    const { sent, skipped, answers } = await done;
    say(
      `${sent} bad specs of 1 MiB in ${FLOOD_MS / 1_000} s (${skipped} not sent: all connections waited), answers ${JSON.stringify(answers)}`,
    );
    report('flood_bad_specs_sent', sent / (FLOOD_MS / 1_000), 'specs/s');
    const accepted = (answers[202] ?? 0) + (answers[200] ?? 0);
    report('flood_bad_specs_accepted', accepted, 'jobs', atMost(accepted, 0));
    await reportOthers('flood', end);
    await flooding[Symbol.asyncDispose]();
  }

  async function halfOpen() {
    const head = 'POST /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n';
    const whole = `${head}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{`;
    const kinds = {
      silent: { first: '', drip: '' },
      'half a head': { first: head, drip: '' },
      'head byte by byte': { first: head, drip: 'X-A: b\r\n' },
      'body byte by byte': { first: whole, drip: ' ' },
    };
    const end = watchOthers();
    const names = Object.keys(kinds);
    const dropped = Object.fromEntries(names.map((name) => [name, []]));
    await Promise.all(
      Array.from({ length: HALF_OPEN }, async (_, i) => {
        const name = names[i % names.length];
        const { first, drip } = kinds[name];
        const socket = net.connect({ port, host: '127.0.0.1', localAddress: '127.0.0.3' });
        const began = performance.now();
        let at = 0;
        const dripping = setInterval(() => {
          if (drip !== '' && socket.writable) socket.write(drip.slice(at++ % drip.length).slice(0, 1));
        }, DRIP_EVERY_MS);
        const limit = setTimeout(() => socket.destroy(), (DROPPED_BAR_S + 10) * 1_000);
        socket.on('error', () => undefined);
        socket.on('data', () => undefined);
        socket.on('connect', () => first !== '' && socket.write(first));
        await new Promise((resolve) => socket.once('close', resolve));
        clearInterval(dripping);
        clearTimeout(limit);
        dropped[name].push((performance.now() - began) / 1_000);
      }),
    );
    for (const name of names) {
      const longest = percentile(dropped[name], 1);
      report(
        `half_open_${name.replaceAll(' ', '_')}_dropped_after`,
        longest,
        's',
        atMost(longest, DROPPED_BAR_S),
      );
    }
    await reportOthers('half_open', end);
  }
});
