import { createHash } from 'node:crypto';
import type { StoredBytes } from '../backends/backend.ts';
import { LIMITS } from '../domain/limits.ts';
import { blobParts, putBlob } from '../store/blobs.ts';
import type { Queryable } from '../store/pool.ts';
import { bridged } from './bridged.ts';

/** What one attempt may hold back until its outcome is kept; what is larger is stored at once. */
const HELD_BYTES = 1024 * 1024;

/** Small outputs of one attempt, by SHA-256 in hex: stored in the transaction that keeps the outcome which names them. */
export type HeldBytes = Map<string, Uint8Array>;

/** Parts kept in memory before the hash, and so the blob's name, is known; a file is at most 64 MiB. */
export async function stageBytes(
  db: Queryable,
  bytes: AsyncIterable<Uint8Array> | Uint8Array,
  held: HeldBytes,
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
  const sha256 = digest.toString('hex');
  if (size <= LIMITS.outputInlineBytes && heldSize(held) + size <= HELD_BYTES) held.set(sha256, parts[0]!);
  else await bridged(() => putBlob(db, digest, parts));
  return { sha256, size };
}

function heldSize(held: HeldBytes): number {
  let size = 0;
  for (const bytes of held.values()) size += bytes.length;
  return size;
}
