/**
 * Runs in a process of its own: asks an API for inclusion proofs at random instants; nine of ten have been asked before.
 *   { ask: { port, rate, ms, size, connections } } → { done, answers, seconds, p50, p99 }
 */
import { acceptedConnections, getRequest } from './http-connection.js';
import { percentile } from './measure.js';

const REPEATED = 0.9;
const asked = [];

process.on('disconnect', () => process.exit(0));
process.on('message', async (/** @type {any} */ { ask }) => {
  if (ask !== undefined) process.send?.({ done: true, ...(await load(ask)) });
});

function nextIndex(size) {
  if (asked.length > 0 && Math.random() < REPEATED) return asked[Math.floor(Math.random() * asked.length)];
  const index = Math.floor(Math.random() * size);
  asked.push(index);
  return index;
}

async function load({ port, rate, ms, size, connections }) {
  const free = await acceptedConnections(connections, { port });
  const answers = {};
  const times = [];
  const due = [];
  const underWay = new Set();
  const serve = () => {
    while (free.length > 0 && due.length > 0) {
      const connection = free.pop();
      const from = due.shift();
      const one = connection
        .ask(getRequest(`/api/v1/transparency/proof?index=${nextIndex(size)}`))
        .catch(() => ({ status: 'lost' }))
        .then(({ status }) => {
          times.push(performance.now() - from);
          answers[status] = (answers[status] ?? 0) + 1;
          free.push(connection);
          underWay.delete(one);
          serve();
        });
      underWay.add(one);
    }
  };
  const began = performance.now();
  let at = began;
  while (performance.now() - began < ms) {
    for (; at <= performance.now(); at += (-Math.log(1 - Math.random()) / rate) * 1_000) due.push(at);
    serve();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  while (underWay.size > 0) await Promise.all(underWay);
  const seconds = (performance.now() - began) / 1_000;
  for (const connection of free) connection.close();
  return { answers, seconds, p50: percentile(times, 0.5), p99: percentile(times, 0.99) };
}
