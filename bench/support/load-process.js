/**
 * Runs in a process of its own: makes signed submits and sends them.
 *   { prepare: n, executions }            makes n distinct requests                   → { prepared }
 *   { flood: { port, connections, ms } }  each connection sends the next as it is free → { answers, seconds, … }
 *   { poisson: { port, connections, ms, rate, seed, warmMs } }  sends at random instants, the same for a seed, whatever is
 *                                         still under way; a time is counted from the instant at which the submit was due,
 *                                         and not at all when that was in the first `warmMs` (default 0)
 * `inTime`: how many were accepted within `ms`.
 */
import { acceptedConnections, postRequest } from './http-connection.js';
import { percentile } from './measure.js';
import { seededRandom } from './random.js';
import { generateKey, signedBody, spec } from './specs.js';

const KEYS = 16;
const keys = Array.from({ length: KEYS }, generateKey);
/** @type {Buffer[]} */
let requests = [];

process.on('disconnect', () => process.exit(0));
process.on('message', async (/** @type {any} */ message) => {
  if (message.prepare !== undefined) {
    requests = Array.from({ length: message.prepare }, (_, i) =>
      postRequest(signedBody(spec(message.executions), keys[i % KEYS])),
    );
    process.send?.({ prepared: requests.length, bytes: requests[0]?.length });
  } else if (message.flood !== undefined) process.send?.(await flood(message.flood));
  else if (message.poisson !== undefined) process.send?.(await poisson(message.poisson));
});

/** Counts what was due from `since` on. */
function results(since, until) {
  let inTime = 0;
  const answers = {};
  const times = [];
  return {
    times,
    async send(connection, request, from = performance.now()) {
      const { status } = await connection.ask(request).catch(() => ({ status: 'lost' }));
      const now = performance.now();
      if (from < since) return;
      times.push(now - from);
      answers[status] = (answers[status] ?? 0) + 1;
      if (status === 202 && now <= until) inTime++;
    },
    summary: (seconds) => ({
      done: true,
      answers,
      inTime,
      seconds,
      p50: percentile(times, 0.5),
      p99: percentile(times, 0.99),
      max: percentile(times, 1),
    }),
  };
}

async function flood({ port, connections, ms }) {
  const open = await acceptedConnections(connections, { port });
  const began = performance.now();
  const { send, summary } = results(began, began + ms);
  let next = 0;
  await Promise.all(
    open.map(async (connection) => {
      while (next < requests.length && performance.now() - began < ms)
        await send(connection, requests[next++]);
    }),
  );
  const seconds = (performance.now() - began) / 1_000;
  for (const connection of open) connection.close();
  return summary(seconds);
}

async function poisson({ port, connections, ms, rate, seed = Math.random() * 2 ** 32, warmMs = 0 }) {
  const free = await acceptedConnections(connections, { port });
  const random = seededRandom(seed);
  const began = performance.now();
  const since = began + warmMs;
  const { send, summary } = results(since, since + ms);
  const due = [];
  const underWay = new Set();
  let next = 0;
  let at = began;
  const serve = () => {
    while (due.length > 0 && free.length > 0) {
      const connection = free.pop();
      const { request, from } = due.shift();
      const sent = send(connection, request, from).then(() => {
        free.push(connection);
        underWay.delete(sent);
        serve();
      });
      underWay.add(sent);
    }
  };
  while (at - since < ms && next < requests.length) {
    // A timer waits a millisecond or more: what fell due meanwhile goes out together, counted from its own instant.
    while (at <= performance.now() && next < requests.length) {
      due.push({ request: requests[next++], from: at });
      at += (-Math.log(1 - random.next()) / rate) * 1_000;
    }
    serve();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  while (underWay.size > 0) await Promise.all(underWay);
  const seconds = (performance.now() - since) / 1_000;
  for (const connection of free) connection.close();
  return summary(seconds);
}
