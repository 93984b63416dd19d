import { LIMITS } from '../domain/limits.ts';
import type { Queryable } from './pool.ts';
import { sound } from './sound.ts';

/**
 * Conditions of every insert into `blobs`: afterwards the bytes' mark `staged_at` is less than an hour old, which keeps
 * the sweep from them (blob-sweep.ts). What was staged this recently is not marked again: the same output by many at once
 * must not queue up on one row.
 */
export const NOT_FRESH = (sha256: string, part: string): string =>
  `not exists (select from blobs fresh where fresh.sha256 = ${sha256} and fresh.part = ${part} and fresh.staged_at > now() - interval '1 hour')`;
export const MARK_AGAIN = 'on conflict (sha256, part) do update set staged_at = now()';

/**
 * Stages bytes under their SHA-256, in parts of at most 1 MiB; the same bytes twice are stored once. `leafCids` are those
 * of the parts, where there are several.
 */
export async function putBlob(
  db: Queryable,
  sha256: Uint8Array,
  parts: readonly Uint8Array[],
  leafCids: readonly string[] = [],
): Promise<void> {
  for (const [part, bytes] of parts.entries()) {
    await db.query(
      `insert into blobs (sha256, part, bytes, leaf_cid) select $1, $2, $3, $4 where ${NOT_FRESH('$1', '$2')} ${MARK_AGAIN}`,
      [sha256, part, bytes, leafCids[part] ?? null],
    );
  }
}

/** Cuts a stream of chunks into blob parts. */
export async function* blobParts(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let held: Uint8Array[] = [];
  let size = 0;
  for await (let chunk of chunks) {
    while (size + chunk.length > LIMITS.blobPartBytes) {
      const room = LIMITS.blobPartBytes - size;
      yield Buffer.concat([...held, chunk.subarray(0, room)]);
      chunk = chunk.subarray(room);
      held = [];
      size = 0;
    }
    held.push(chunk);
    size += chunk.length;
  }
  yield Buffer.concat(held);
}

export interface BlobPart {
  size: number;
  /** Null where the blob has one part. */
  leafCid: string | null;
}

/** The parts of a blob in order, without their bytes; none when it is not there. */
export async function listBlobParts(db: Queryable, sha256: Uint8Array): Promise<BlobPart[]> {
  const { rows } = await db.query<BlobPart>(
    'select length(bytes) as size, leaf_cid as "leafCid" from blobs where sha256 = $1 order by part',
    [sha256],
  );
  return rows;
}

/** One part of a blob, or undefined past its end. Whoever reads knows by which hash to judge it. */
export async function getBlobPart(
  db: Queryable,
  sha256: Uint8Array,
  part: number,
): Promise<Uint8Array | undefined> {
  const { rows } = await db.query<{ bytes: Buffer }>(
    'select bytes from blobs where sha256 = $1 and part = $2',
    [sha256, part],
  );
  return rows[0]?.bytes;
}

/** The whole blob, hashed again; undefined when it is not there. Only for blobs known to be small. */
export async function getBlob(db: Queryable, sha256: Uint8Array): Promise<Uint8Array | undefined> {
  const { rows } = await db.query<{ bytes: Buffer }>(
    'select bytes from blobs where sha256 = $1 order by part',
    [sha256],
  );
  return rows.length === 0 ? undefined : sound(Buffer.concat(rows.map((row) => row.bytes)), sha256);
}
