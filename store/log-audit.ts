import type { Queryable } from './pool.ts';

/** What the log says of itself at one moment: its head, and the newest checkpoint, which follows it. */
export interface AuditTarget {
  size: number;
  root: Buffer;
  /** Entries that are shown; they end at a checkpoint. */
  published: number;
  checkpointSize: number | null;
  checkpointRoot: Buffer | null;
  note: string | null;
}

export async function readAuditTarget(db: Queryable, logId: string): Promise<AuditTarget | undefined> {
  const { rows } = await db.query<AuditTarget>(
    `select s.size, s.root, s.published, c.size as "checkpointSize", c.root as "checkpointRoot", c.note
     from log_state s left join lateral (
       select size, root, note from log_checkpoints where log_id = s.log_id order by size desc limit 1) c on true
     where s.log_id = $1`,
    [logId],
  );
  return rows[0];
}

export interface AuditedEntry {
  index: number;
  leaf: Buffer;
  leafHash: Buffer;
}

/** The entries `start … start + count`, those that are there. */
export async function readAuditedEntries(
  db: Queryable,
  logId: string,
  start: number,
  count: number,
): Promise<AuditedEntry[]> {
  const { rows } = await db.query<AuditedEntry>(
    `select idx as index, leaf, leaf_hash as "leafHash" from log_entries
     where log_id = $1 and idx >= $2 and idx < $3 order by idx`,
    [logId, start, start + count],
  );
  return rows;
}

export interface StoredTile {
  root: Buffer;
  hashes: Buffer;
}

/** Full tiles in the order asked; undefined where one is not there. */
export async function readFullTiles(
  db: Queryable,
  logId: string,
  tiles: readonly { level: number; index: number }[],
): Promise<(StoredTile | undefined)[]> {
  if (tiles.length === 0) return [];
  const { rows } = await db.query<{ root: Buffer | null; hashes: Buffer | null }>(
    `select t.root, t.hashes from unnest($2::int[], $3::bigint[]) with ordinality as a (level, idx, place)
     left join log_tiles t on t.log_id = $1 and t.level = a.level and t.idx = a.idx order by a.place`,
    [logId, tiles.map((tile) => tile.level), tiles.map((tile) => tile.index)],
  );
  return rows.map(({ root, hashes }) => (root === null || hashes === null ? undefined : { root, hashes }));
}
