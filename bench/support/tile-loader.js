/** A log of any size without its entries: all tiles, a signed checkpoint, and the rows that are asked for. */
import { randomUUID } from 'node:crypto';
import { generateLogKey } from '../../dist/attestation/keys/log-key.js';
import { nodeSha256 } from '../../dist/attestation/keys/node-verifiers.js';
import { openLog } from '../../dist/attestation/log/open.js';
import { signCheckpoint } from '../../dist/domain/log/checkpoint.js';
import { Frontier } from '../../dist/domain/log/frontier.js';
import { treeHash } from '../../dist/domain/log/hash.js';
import { createPool } from '../../dist/store/pool.js';

/** Of one statement: 4 MiB. */
const TILES_AT_ONCE = 512;
const WIDTH = 256;
const hash = treeHash(nodeSha256);

const leafOf = (/** @type {number} */ index) => Buffer.from(`entry ${index} of a bench`, 'latin1');

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

    const frontier = Frontier.empty(hash);
    const kept = [];
    let tiles = [];
    const putTiles = async () => {
      const of = (key) => tiles.map((tile) => tile[key]);
      const values = [logId, of('level'), of('index'), of('root'), of('hashes')];
      tiles = [];
      await pool.query(
        `insert into log_tiles (log_id, level, idx, root, hashes)
         select $1, * from unnest($2::int[], $3::bigint[], $4::bytea[], $5::bytea[])`,
        values,
      );
    };
    for (let index = 0; index < size; index++) {
      const leafHash = hash.leaf(leafOf(index));
      if (rows.has(index)) kept.push({ index, leafHash, executionId: randomUUID() });
      tiles.push(...frontier.append(leafHash));
      if (tiles.length >= TILES_AT_ONCE) await putTiles();
    }
    await putTiles();
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
