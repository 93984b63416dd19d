import type { Queryable } from './pool.ts';
import { LIMITS } from '../domain/limits.ts';

/** Stages bytes under their SHA-256, in parts of at most 1 MiB; the same bytes twice are stored once. */
export async function putBlob(
  db: Queryable,
  sha256: Uint8Array,
  parts: readonly Uint8Array[],
): Promise<void> {
  for (const [part, bytes] of parts.entries()) {
    await db.query(
      'insert into blobs (sha256, part, bytes) values ($1, $2, $3) on conflict (sha256, part) do nothing',
      [sha256, part, bytes],
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

/** One part of a blob, or undefined past its end. */
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

/** The whole blob; undefined when it is not there. Only for blobs known to be small. */
export async function getBlob(db: Queryable, sha256: Uint8Array): Promise<Uint8Array | undefined> {
  const { rows } = await db.query<{ bytes: Buffer }>(
    'select bytes from blobs where sha256 = $1 order by part',
    [sha256],
  );
  return rows.length === 0 ? undefined : Buffer.concat(rows.map((row) => row.bytes));
}
