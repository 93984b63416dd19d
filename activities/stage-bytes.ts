import { createHash } from 'node:crypto';
import type { StoredBytes } from '../backends/backend.ts';
import { blobParts, putBlob } from '../store/blobs.ts';
import type { Queryable } from '../store/pool.ts';
import { bridged } from './bridged.ts';

/** Parts kept in memory before the hash, and so the blob's name, is known; a file is at most 64 MiB. */
export async function stageBytes(
  db: Queryable,
  bytes: AsyncIterable<Uint8Array> | Uint8Array,
): Promise<StoredBytes> {
  const hash = createHash('sha256');
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of blobParts(bytes instanceof Uint8Array ? [bytes] : bytes)) {
    hash.update(part);
    size += part.length;
    parts.push(part);
  }
  const digest = hash.digest();
  await bridged(() => putBlob(db, digest, parts));
  return { sha256: digest.toString('hex'), size };
}
