/**
 * Runs in a process of its own: clients of the feed that note when each event came.
 *   { open: { url, clients, stalled, total } }  → { opened }   `stalled` = queries of clients that never read
 *   { collect: true }   when all have all, or after `withinMs` → { collected, … }
 *   { close: true }                                            → { closed }
 */
import { WebSocket } from 'ws';
import { machineMs } from './measure.js';

const EVENT = /"seq":(\d+),"data"/;

/** @type {WebSocket[]} */
let sockets = [];
/** @type {WebSocket[]} */
let stalled = [];
/** Per client: what came, by number of the event. */
/** @type {Float64Array[]} */
let arrivals = [];
let doubled = 0;
let disordered = 0;
let received = 0;
let closes = 0;
let url = '';

process.on('disconnect', () => process.exit(0));
process.on('message', async (/** @type {any} */ message) => {
  if (message.open !== undefined) await open(message.open);
  else if (message.collect !== undefined) await collect(message.collect);
  else if (message.release !== undefined) await release(message.release);
  else if (message.close !== undefined) {
    for (const socket of [...sockets, ...stalled]) socket.terminate();
    process.send?.({ closed: true });
  }
});

async function open(options) {
  ({ url } = options);
  arrivals = [];
  doubled = disordered = received = closes = 0;
  sockets = [];
  // Some at a time: it is not the accepting that is measured.
  for (let i = 0; i < options.clients; i += 50) {
    const lot = Array.from({ length: Math.min(50, options.clients - i) }, () => client(options.total));
    await Promise.all(lot);
  }
  stalled = await Promise.all(options.stalled.map(stalledClient));
  process.send?.({ opened: true });
}

/** Resolves when the server says that it is live. */
function client(total) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { perMessageDeflate: false });
    const times = new Float64Array(total);
    let last = -1;
    sockets.push(socket);
    arrivals.push(times);
    socket.on('error', reject);
    socket.on('close', () => closes++);
    socket.on('message', (data) => {
      const now = machineMs();
      for (const line of data.toString('latin1').split('\n')) {
        const event = line.startsWith('{"type":"job.') ? EVENT.exec(line) : null;
        if (event === null) {
          if (line.includes('"feed.live"')) resolve(socket);
          continue;
        }
        const number = Number(event[1]) - 1;
        if (times[number] !== 0) doubled++;
        if (number <= last) disordered++;
        last = number;
        times[number] = now;
        received++;
      }
    });
  });
}

/** A client that reads its first line and then nothing. */
function stalledClient(query) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${url}${query}`, { perMessageDeflate: false });
    socket.on('error', reject);
    socket.once('message', () => {
      socket.pause();
      resolve(socket);
    });
  });
}

async function collect({ total, withinMs }) {
  const until = performance.now() + withinMs;
  while (received < total * arrivals.length && performance.now() < until)
    await new Promise((resolve) => setTimeout(resolve, 50));
  process.send?.({ collected: true, arrivals, doubled, disordered, received, closes });
}

/** Lets the stalled clients read again and says how each was closed; `open` = it still is. */
async function release({ withinMs }) {
  const ends = await Promise.all(
    stalled.map(
      (socket) =>
        new Promise((resolve) => {
          const timer = setTimeout(resolve, withinMs, 'open');
          socket.once('close', (code, reason) => {
            clearTimeout(timer);
            resolve(`${code} ${reason.toString()}`.trim());
          });
          socket.resume();
        }),
    ),
  );
  process.send?.({ released: ends });
}
