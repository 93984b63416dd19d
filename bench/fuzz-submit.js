// Whether intake survives what it may be sent: mutated and random bodies, floods of large bad specs, connections that
// do not get on. npm run fuzz:submit [-- --short] [-- --seed=N]   (4 minutes, short 1; an own PostgreSQL)
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createConnection, getRequest, postRequest } from './support/http-connection.js';
import { isSigned } from './support/independent-check.js';
import { eventLoopSeconds, percentile, residentMib } from './support/measure.js';
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
const LIMIT_MS = short ? 400_000 : 900_000;
const BODIES = short ? 5_000 : 100_000;
const CONNECTIONS = 32;
/** The heap has its size after this share of the bodies. */
const WARM_SHARE = 0.3;
const GROWTH_BAR_MIB = 40;
const FLOOD_MS = short ? 8_000 : 30_000;
/** Fewer failures than the addresses may have together, so that the limit of failures does not help. */
const SPREAD_MS = short ? 6_000 : 12_000;
const FLOOD_PER_SECOND = 50;
const HALF_OPEN = short ? 200 : 1_000;
/** The 30 s of a request, the 5 s after which Node looks again who is late, and room for a busy machine. */
const DROPPED_BAR_S = 45;
const DRIP_EVERY_MS = 1_000;
const LIVE_BAR_MS = 1_000;
const PROBE_EVERY_MS = 50;
const GOOD_EVERY_MS = 500;
const GOOD_LARGE_EVERY_MS = 1_000;
const LARGE_BYTES = 256 * 1024;
/** Signed before, because that is work. */
const GOOD_LARGE = 100;
/** At rest, with 16 bodies of 1 MiB and the thread with its dearest spec. */
const FLOOD_RSS_BAR_MIB = 500;
/** Of one core: however busy the machine is, the event loop itself is not. */
const EVENT_LOOP_BAR = 0.5;
/** Share of the time it wanted that the event loop must have got for times to say something; `--short` runs anywhere. */
const JUDGED_SHARE = 0.25;
const QUIET_MS = 3_000;
const OTHER_ADDRESS = '127.0.0.2';
const SHOWN = 5;

await runProgram({ name: 'fuzz_submit', limitMs: LIMIT_MS }, async ({ use, report, say, signal }) => {
  say(`seed ${seed}`);
  const server = use(await benchPostgres());
  const { folder } = server;
  const database = use(await benchDatabase(server));
  const env = { DATABASE_URL: database.url, HTTP_PORT: '0', BACKLOG_LIMIT: '10000000' };

  await bodies();
  let api = use(await startBeacon('serve', { folder, env }));
  let port = Number(new URL(api.url).port);
  const goodLarge = largeBodies();
  const quiet = await watchedQuiet();
  await flood('flood', { ms: FLOOD_MS, spread: false });
  await flood('spread_flood', { ms: SPREAD_MS, spread: true });
  // What the floods left to do is not the next one's load.
  await api[Symbol.asyncDispose]();
  api = use(await startBeacon('serve', { folder, env }));
  port = Number(new URL(api.url).port);
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

  /** How soon /health/live answers, and whether good jobs from another address are taken, until it is ended. */
  function watchOthers() {
    const times = [];
    const good = { small: { accepted: 0, other: [] }, large: { accepted: 0, other: [] } };
    const memory = [];
    const over = new AbortController();
    const ended = AbortSignal.any([over.signal, signal]);
    const key = generateKey();
    const began = { ms: performance.now(), ...eventLoopSeconds(api.pid) };
    const pause = (ms) => delay(ms, undefined, { signal: ended }).catch(() => undefined);
    const every = async (ms, work) => {
      const running = [];
      while (!ended.aborted) {
        running.push(work());
        await pause(ms);
      }
      await Promise.all(running);
    };
    /** One at a time: a client that waits for its answer finds room, however slow the machine is. */
    const oneByOne = async (ms, bodies, work) => {
      for (let body = bodies.pop(); body !== undefined && !ended.aborted; body = bodies.pop()) {
        await work(body);
        await pause(ms);
      }
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
    const submit = async (counted, signed) => {
      const { status, body } = await ask(postRequest(signed));
      if (status === 202) counted.accepted++;
      else counted.other.push(`${status} ${body.slice(0, 200)}`);
    };
    const watching = Promise.all([
      every(PROBE_EVERY_MS, async () => {
        const asked = performance.now();
        const { status } = await ask(getRequest('/health/live'));
        const ms = performance.now() - asked;
        // Another answer, or none, is a miss however soon it came.
        times.push(status === 200 ? ms : Math.max(ms, LIVE_BAR_MS + 1));
        memory.push(residentMib(api.pid));
      }),
      every(GOOD_EVERY_MS, () => submit(good.small, signedBody(spec(), key))),
      oneByOne(GOOD_LARGE_EVERY_MS, goodLarge, (body) => submit(good.large, body)),
    ]);
    return async () => {
      const now = eventLoopSeconds(api.pid);
      const ran = now.ran - began.ran;
      const busy = ran / ((performance.now() - began.ms) / 1_000);
      const got = ran / (ran + now.waited - began.waited);
      over.abort();
      await watching;
      for (const told of [...good.small.other, ...good.large.other].slice(0, SHOWN))
        say(`a good job was answered: ${told}`);
      return { p99: percentile(times, 0.99), good, busy, got, highest: Math.max(...memory) };
    };
  }

  function largeBodies() {
    const key = generateKey();
    const padding = 'x'.repeat(LARGE_BYTES);
    return Array.from({ length: GOOD_LARGE }, () => signedBody({ ...spec(), padding }, key));
  }

  /** What the same machine takes for the same while nothing else happens. */
  async function watchedQuiet() {
    const end = watchOthers();
    await delay(QUIET_MS, undefined, { signal });
    const { p99 } = await end();
    report('quiet_health_live_p99', p99, 'ms');
    return p99;
  }

  async function reportOthers(name, end, { largeToo = true } = {}) {
    const { p99, good, busy, got, highest } = await end();
    const judged = !short || !(got < JUDGED_SHARE);
    if (!judged) say(`${name}: other processes kept the event loop from running, its times say nothing`);
    report(`${name}_health_live_p99`, p99, 'ms', {
      peer: quiet,
      ratio: p99 / quiet,
      ...(judged && atMost(p99, LIVE_BAR_MS)),
    });
    report(`${name}_event_loop_ran`, busy, 'cores', atMost(busy, EVENT_LOOP_BAR));
    report(`${name}_event_loop_got`, got, 'of what it wanted');
    for (const [size, { accepted, other }] of Object.entries(good)) {
      // Many addresses may together take all the room that there is for large ones.
      const ok = largeToo || size === 'small';
      report(`${name}_good_${size}_jobs_accepted`, accepted, 'jobs', ok ? { bar: 1, ok: accepted > 0 } : {});
      report(`${name}_good_${size}_jobs_refused`, other.length, 'jobs', ok ? atMost(other.length, 0) : {});
    }
    report(`${name}_rss_highest`, highest, 'MiB', atMost(highest, FLOOD_RSS_BAR_MIB));
  }

  async function flood(name, { ms, spread }) {
    const flooding = use(
      startChild(fileURLToPath(new URL('support/flood-process.js', import.meta.url)), { name, folder }),
    );
    const end = watchOthers();
    const done = flooding.next((message) => message.done, ms + 60_000);
    flooding.send({ port, rate: FLOOD_PER_SECOND, ms, spread });
    const { sent, skipped, answers } = await done;
    say(
      `${sent} bad specs of 1 MiB in ${ms / 1_000} s (${skipped} not sent: all connections waited), answers ${JSON.stringify(answers)}`,
    );
    report(`${name}_bad_specs_sent`, sent / (ms / 1_000), 'specs/s');
    const accepted = (answers[202] ?? 0) + (answers[200] ?? 0);
    report(`${name}_bad_specs_accepted`, accepted, 'jobs', atMost(accepted, 0));
    await reportOthers(name, end, { largeToo: !spread });
    await flooding[Symbol.asyncDispose]();
  }

  async function halfOpen() {
    const head = 'POST /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n';
    const begun = (/** @type {number} */ length) =>
      `${head}Content-Type: application/json\r\nContent-Length: ${length}\r\n\r\n{`;
    const kinds = {
      silent: { first: '', drip: '' },
      'half a head': { first: head, drip: '' },
      'head byte by byte': { first: head, drip: 'X-A: b\r\n' },
      'body byte by byte': { first: begun(1_000), drip: ' ' },
      // Few find room; the others are answered at once and go on sending.
      'large body byte by byte': { first: begun(1_000_000), drip: ' ' },
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
