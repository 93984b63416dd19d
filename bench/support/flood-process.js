/**
 * Runs in a process of its own: sends bad specs of 1 MiB at a steady rate, each under another key, from one address or
 * from as many as it has connections.
 *   { port, rate, ms, spread } → { done, sent, skipped, answers }
 */
import { randomBytes } from 'node:crypto';
import { createConnection, postRequest } from './http-connection.js';
import { spec } from './specs.js';

const SIZE = 1024 * 1024;
const CONNECTIONS = 64;

process.on('disconnect', () => process.exit(0));
process.on('message', async (/** @type {any} */ { port, rate, ms, spread }) => {
  const bodies = badBodies();
  const free = Array.from({ length: CONNECTIONS }, (_, i) =>
    createConnection({ port, ...(spread && { localAddress: `127.0.1.${i + 1}` }) }),
  );
  const answers = {};
  const began = performance.now();
  let sent = 0;
  let skipped = 0;
  const underWay = new Set();
  for (let i = 0; performance.now() - began < ms; i++) {
    const dueMs = began + (i * 1_000) / rate - performance.now();
    if (dueMs > 0) await new Promise((resolve) => setTimeout(resolve, dueMs));
    // The one that rested longest, so that all addresses take part.
    const connection = free.shift();
    if (connection === undefined) {
      skipped++;
      continue;
    }
    sent++;
    const asked = connection
      .ask(postRequest(withFreshKey(bodies[i % bodies.length])))
      .catch(() => ({ status: 'lost' }))
      .then(({ status }) => {
        answers[status] = (answers[status] ?? 0) + 1;
        free.push(connection);
        underWay.delete(asked);
      });
    underWay.add(asked);
  }
  await Promise.all(underWay);
  for (const connection of free) connection.close();
  process.send?.({ done: true, sent, skipped, answers });
});

const KEY_MARK = 'K'.repeat(43) + '=';

/** The right shape, a signature that is none, and what makes parsing or canonical forms dear. */
function badBodies() {
  const base = {
    ...spec(),
    signature: Buffer.alloc(64, 5).toString('base64'),
    public_key: KEY_MARK,
  };
  const text = JSON.stringify({ ...base, metadata: 'M' });
  const withInner = (fill) => Buffer.from(text.replace('"M"', () => fill(SIZE - text.length - 100)));
  const filled = (fill) => withInner((size) => JSON.stringify(fill(size)));
  const deep = '['.repeat(60) + ']'.repeat(60);
  return [
    filled((size) => ({ text: 'x'.repeat(size) })),
    // Escapes and the characters that the two families of forms write differently.
    filled((size) => ({ text: '<\u2028>&"'.repeat(Math.floor(size / 8)) })),
    filled((size) =>
      Object.fromEntries(
        Array.from({ length: Math.floor(size / 12) }, (_, i) => [`k${String(i).padStart(6, '0')}`, 1]),
      ),
    ),
    filled((size) => ({ list: Array.from({ length: Math.floor(size / 2) }, () => 7) })),
    filled((size) => ({ list: Array.from({ length: Math.floor(size / 3) }, () => ({})) })),
    filled((size) => ({ list: Array.from({ length: Math.floor(size / 9) }, () => 1.234567) })),
    withInner(
      (size) =>
        `{"list":[${Array(Math.floor(size / 121))
          .fill(deep)
          .join(',')}]}`,
    ),
    // No JSON, which shows at the end only; and no spec.
    withInner((size) => `{"list":[${'{},'.repeat(Math.floor(size / 3))}]}`),
    withInner((size) => `[${'{},'.repeat(Math.floor(size / 3))}{}]`),
  ];
}

function withFreshKey(body) {
  const copy = Buffer.from(body);
  copy.write(randomBytes(32).toString('base64'), copy.indexOf(KEY_MARK), 'latin1');
  return copy;
}
