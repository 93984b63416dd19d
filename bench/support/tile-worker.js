/**
 * Runs in a thread: hashes a stretch of a bench log's leaves into full tiles of the lowest level, stores them, and answers
 * the roots of those tiles, one after the other.
 */
import crypto from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { byteaArray, longArray } from '../../dist/store/binary-array.js';
import { createPool } from '../../dist/store/pool.js';
import { leafText } from './tile-leaves.js';

const WIDTH = 256;
const HASH_BYTES = 32;
/** Of one statement: 4 MiB. */
const TILES_AT_ONCE = 512;

const { url, logId, from, to } = workerData;
const hashOf =
  crypto.hash === undefined
    ? (input) => crypto.createHash('sha256').update(input).digest('latin1')
    : (input) => crypto.hash('sha256', input, 'latin1');
/** 0x01, left, right (RFC 6962). */
const node = Buffer.alloc(1 + 2 * HASH_BYTES, 1);

/** The root of the hashes in `row`, which it overwrites. */
function fold(row) {
  for (let count = WIDTH; count > 1; count /= 2) {
    for (let i = 0; i < count / 2; i++) {
      row.copy(node, 1, i * 2 * HASH_BYTES, (i + 1) * 2 * HASH_BYTES);
      row.write(hashOf(node), i * HASH_BYTES, 'latin1');
    }
  }
  return Buffer.from(row.subarray(0, HASH_BYTES));
}

const pool = createPool({ databaseUrl: url, name: 'bench loader', role: null, max: 1 });
const row = Buffer.alloc(WIDTH * HASH_BYTES);
const roots = [];
let stored = Promise.resolve();
for (let first = from; first < to; first += TILES_AT_ONCE) {
  const indexes = Array.from({ length: Math.min(TILES_AT_ONCE, to - first) }, (_, i) => first + i);
  const tiles = indexes.map((index) => {
    const hashes = Buffer.allocUnsafe(WIDTH * HASH_BYTES);
    for (let i = 0; i < WIDTH; i++)
      hashes.write(hashOf(`\0${leafText(index * WIDTH + i)}`), i * HASH_BYTES, 'latin1');
    hashes.copy(row);
    return { hashes, root: fold(row) };
  });
  roots.push(...tiles.map(({ root }) => root));
  // The database stores these while the next ones are hashed.
  await stored;
  stored = pool.query(
    `insert into log_tiles (log_id, level, idx, root, hashes)
     select $1, 0, * from unnest($2::bigint[], $3::bytea[], $4::bytea[])`,
    [
      logId,
      longArray(indexes),
      byteaArray(tiles.map(({ root }) => root)),
      byteaArray(tiles.map(({ hashes }) => hashes)),
    ],
  );
}
await stored;
await pool.end();
parentPort?.postMessage(Buffer.concat(roots));
