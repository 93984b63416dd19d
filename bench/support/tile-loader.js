/** A log of any size without its entries: all tiles, a signed checkpoint, and the rows that are asked for. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { generateLogKey } from '../../dist/attestation/keys/log-key.js';
import { nodeSha256 } from '../../dist/attestation/keys/node-verifiers.js';
import { openLog } from '../../dist/attestation/log/open.js';
import { signCheckpoint } from '../../dist/domain/log/checkpoint.js';
import { Frontier } from '../../dist/domain/log/frontier.js';
import { treeHash } from '../../dist/domain/log/hash.js';
import { byteaArray, intArray, longArray } from '../../dist/store/binary-array.js';
import { createPool } from '../../dist/store/pool.js';
import { leafText } from './tile-leaves.js';

/** Of one statement: 4 MiB. */
const TILES_AT_ONCE = 512;
const WIDTH = 256;
const HASH_BYTES = 32;
const MOST_THREADS = 8;
const hash = treeHash(nodeSha256);

const leafOf = (/** @type {number} */ index) => Buffer.from(leafText(index), 'latin1');

/** The roots of the lowest tiles, which are hashed and stored by as many threads as there are cores. */
async function inThreads({ url, logId, tiles }) {
  const threads = Math.min(availableParallelism(), MOST_THREADS);
  const each = Math.ceil(tiles / threads);
  const parts = await Promise.all(
    Array.from({ length: threads }, async (_, i) => {
      const workerData = { url, logId, from: Math.min(tiles, i * each), to: Math.min(tiles, (i + 1) * each) };
      const worker = new Worker(new URL('./tile-worker.js', import.meta.url), { workerData });
      const [roots] = await once(worker, 'message');
      return Buffer.from(roots);
    }),
  );
  const roots = Buffer.concat(parts);
  return Array.from({ length: tiles }, (_, i) => roots.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));
}

/**
 * @param {{ url: string, size: number, asked: number }} options `url`: a fresh database, as its superuser; `asked`: how many
 * entries, taken at random, get a row.
 * @returns {Promise<{ logId: string, root: Uint8Array, asked: { index: number, executionId: string }[] }>}
 */
export async function loadTiles({ url, size, asked }) {
  const pool = createPool({ databaseUrl: url, name: 'bench loader', role: null });
  try {
    const { logId, origin } = await openLog(pool);
    const indexes = new Set();
    while (indexes.size < asked) indexes.add(Math.floor(Math.random() * size));
    // The leaves behind the last full tile stand in no tile: their hashes are read from their rows.
    const rows = new Set([...indexes, ...Array.from({ length: size % WIDTH }, (_, i) => size - 1 - i)]);

    const full = Math.floor(size / WIDTH);
    const roots = await inThreads({ url, logId, tiles: full });
    // What lies above: a tree whose leaves are the roots of the lowest tiles.
    const above = Frontier.empty(hash);
    const tiles = roots.flatMap((root) => above.append(root));
    for (let at = 0; at < tiles.length; at += TILES_AT_ONCE) {
      const of = (key) => tiles.slice(at, at + TILES_AT_ONCE).map((tile) => tile[key]);
      await pool.query(
        `insert into log_tiles (log_id, level, idx, root, hashes)
         select $1, level + 1, idx, root, hashes
         from unnest($2::int[], $3::bigint[], $4::bytea[], $5::bytea[]) as t (level, idx, root, hashes)`,
        [
          logId,
          intArray(of('level')),
          longArray(of('index')),
          byteaArray(of('root')),
          byteaArray(of('hashes')),
        ],
      );
    }
    const kept = [...rows]
      .toSorted((a, b) => a - b)
      .map((index) => ({ index, leafHash: hash.leaf(leafOf(index)), executionId: randomUUID() }));
    const rest = kept.filter(({ index }) => index >= full * WIDTH).map(({ leafHash }) => leafHash);
    const frontier = Frontier.restore(size, [Buffer.concat(rest), ...above.partialTiles()], hash);
    await pool.query(
      `insert into log_entries (log_id, idx, subject_kind, subject_id, version, leaf, leaf_hash, key_id, execution_id)
       select $1, idx, 'receipt', execution_id, 1, leaf, leaf_hash, 'bench', execution_id::uuid
       from unnest($2::bigint[], $3::text[], $4::bytea[], $5::bytea[]) as e (idx, execution_id, leaf, leaf_hash)`,
      [
        logId,
        kept.map(({ index }) => index),
        kept.map(({ executionId }) => executionId),
        kept.map(({ index }) => leafOf(index)),
        kept.map(({ leafHash }) => leafHash),
      ],
    );
    const root = frontier.root();
    const note = await signCheckpoint({ origin, size, root }, [generateLogKey().signerFor(origin)]);
    await pool.query('insert into log_checkpoints (log_id, size, root, note) values ($1, $2, $3, $4)', [
      logId,
      size,
      root,
      note,
    ]);
    await pool.query('update log_state set size = $2, root = $3, published = $2 where log_id = $1', [
      logId,
      size,
      root,
    ]);
    return { logId, root, asked: kept.filter(({ index }) => indexes.has(index)) };
  } finally {
    await pool.end();
  }
}
