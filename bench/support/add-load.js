/**
 * Runs in a process of its own: adds distinct entries at random instants, whatever is still under way; a time is counted
 * from the instant at which the add was due. With the rate Infinity every connection adds as soon as it is free.
 *   { add: { port, rate, ms, connections, bytes } } → { done, answers, seconds, p50, p99, max }
 */
import { randomBytes } from 'node:crypto';
import { createConnection, postRequest } from './http-connection.js';
import { percentile } from './measure.js';

process.on('disconnect', () => process.exit(0));
process.on('message', async (/** @type {any} */ { add }) => {
  if (add !== undefined) process.send?.({ done: true, ...(await load(add)) });
});

async function load({ port, rate, ms, connections, bytes }) {
  const free = Array.from({ length: connections }, () => createConnection({ port }));
  const answers = {};
  const times = [];
  const due = [];
  const underWay = new Set();
  const began = performance.now();
  const isOver = () => performance.now() - began >= ms;
  const serve = () => {
    while (free.length > 0 && (rate === Infinity ? !isOver() : due.length > 0)) {
      const connection = free.pop();
      const from = due.shift() ?? performance.now();
      const asked = connection
        .ask(postRequest(randomBytes(bytes), '/add'))
        .catch(() => ({ status: 'lost' }))
        .then(({ status }) => {
          times.push(performance.now() - from);
          answers[status] = (answers[status] ?? 0) + 1;
          free.push(connection);
          underWay.delete(asked);
          serve();
        });
      underWay.add(asked);
    }
  };
  let at = began;
  while (!isOver()) {
    // A timer waits a millisecond or more: what fell due meanwhile goes out together, counted from its own instant.
    for (; rate < Infinity && at <= performance.now(); at += (-Math.log(1 - Math.random()) / rate) * 1_000)
      due.push(at);
    serve();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  while (underWay.size > 0) await Promise.all(underWay);
  const seconds = (performance.now() - began) / 1_000;
  for (const connection of free) connection.close();
  return {
    answers,
    seconds,
    p50: percentile(times, 0.5),
    p99: percentile(times, 0.99),
    max: percentile(times, 1),
  };
}
