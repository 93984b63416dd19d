import { HASH_BYTES } from '../domain/log/hash.ts';
import type { HashRange } from '../domain/log/tile.ts';
import { PUBLISHED } from './log-state.ts';
import type { Queryable } from './pool.ts';

/** Rows are missing below the size that was asked for: the database is damaged. */
export class LogDamagedError extends Error {
  override readonly name = 'LogDamagedError';
  readonly code = 'log_damaged';
}

/**
 * The hashes of ranges that each lie within one tile, in one round trip: from the tile where it is full, else leaf
 * hashes from the entries and higher ones from the roots of the tiles below. The caller asks for existing hashes only.
 */
export async function readHashes(
  db: Queryable,
  logId: string,
  ranges: readonly HashRange[],
): Promise<Uint8Array[]> {
  const wanted = ranges.filter((range) => range.count > 0);
  const { rows } = await db.query<{ hashes: Buffer | null }>({
    name: 'log hashes',
    text: `select case
         when t.hashes is not null then substr(t.hashes, (r.start % 256)::int * 32 + 1, r.count * 32)
         when r.level = 0 then (
           select string_agg(e.leaf_hash, ''::bytea order by e.idx) from log_entries e
           where e.log_id = $1 and e.idx >= r.start and e.idx < r.start + r.count)
         else (
           select string_agg(b.root, ''::bytea order by b.idx) from log_tiles b
           where b.log_id = $1 and b.level = r.level - 1 and b.idx >= r.start and b.idx < r.start + r.count)
       end as hashes
     from unnest($2::int[], $3::bigint[], $4::int[]) with ordinality as r (level, start, count, place)
     left join log_tiles t on t.log_id = $1 and t.level = r.level and t.idx = r.start / 256
     order by r.place`,
    values: [
      logId,
      wanted.map((range) => range.level),
      wanted.map((range) => range.start),
      wanted.map((range) => range.count),
    ],
  });
  let at = 0;
  return ranges.map(({ level, start, count }) => {
    if (count === 0) return new Uint8Array();
    const hashes = rows[at++]?.hashes;
    if (hashes?.length !== count * HASH_BYTES) {
      throw new LogDamagedError(`hashes ${start}..${start + count} of tile level ${level} are not all there`);
    }
    return hashes;
  });
}

export interface StoredCheckpoint {
  size: number;
  root: Buffer;
  /** The signed note. */
  note: string;
  signedAt: Date;
}

const CHECKPOINT = 'size, root, note, signed_at as "signedAt"';

export async function readNewestCheckpoint(
  db: Queryable,
  logId: string,
): Promise<StoredCheckpoint | undefined> {
  const { rows } = await db.query<StoredCheckpoint>(
    `select ${CHECKPOINT} from log_checkpoints where log_id = $1 and size <= ${PUBLISHED} order by size desc limit 1`,
    [logId],
  );
  return rows[0];
}

/** The newest checkpoint of at most `size` entries. */
export async function readCheckpointUpTo(
  db: Queryable,
  logId: string,
  size: number,
): Promise<StoredCheckpoint | undefined> {
  const { rows } = await db.query<StoredCheckpoint>(
    `select ${CHECKPOINT} from log_checkpoints
     where log_id = $1 and size <= least(${PUBLISHED}, $2) order by size desc limit 1`,
    [logId, size],
  );
  return rows[0];
}

/** The checkpoint of exactly `size`; not every size has one, since entries come in batches. */
export async function readCheckpoint(
  db: Queryable,
  logId: string,
  size: number,
): Promise<StoredCheckpoint | undefined> {
  const { rows } = await db.query<StoredCheckpoint>(
    `select ${CHECKPOINT} from log_checkpoints where log_id = $1 and size = $2 and size <= ${PUBLISHED}`,
    [logId, size],
  );
  return rows[0];
}

/** Checkpoints of fewer than `below` entries (default: all), the newest first. */
export async function listCheckpoints(
  db: Queryable,
  logId: string,
  { below, limit }: { below: number | undefined; limit: number },
): Promise<StoredCheckpoint[]> {
  const { rows } = await db.query<StoredCheckpoint>(
    `select ${CHECKPOINT} from log_checkpoints
     where log_id = $1 and size <= ${PUBLISHED} and size < $2 order by size desc limit $3`,
    [logId, below ?? Number.MAX_SAFE_INTEGER, limit],
  );
  return rows;
}
