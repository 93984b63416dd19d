import { createHash } from 'node:crypto';
import type { StoredBytes } from '../backends/backend.ts';
import { fileDag } from '../domain/blocks/unixfs.ts';
import { LIMITS } from '../domain/limits.ts';
import { cidOfDigest } from '../domain/receipt/cid.ts';
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
  if (size <= LIMITS.outputInlineBytes && heldSize(held) + size <= HELD_BYTES) {
    held.set(sha256, parts[0]!);
    return { sha256, size, cid: cidOfDigest(digest) };
  }
  const { cid, leafCids } = await fileCid(digest, parts);
  await bridged(() => putBlob(db, digest, parts, leafCids));
  return { sha256, size, cid };
}

/** Bytes that fit one block are one; larger ones are the leaves of a tree, whose nodes can be made from the leaves again. */
async function fileCid(
  digest: Uint8Array,
  parts: readonly Uint8Array[],
): Promise<{ cid: string; leafCids: string[] }> {
  if (parts.length === 1) return { cid: cidOfDigest(digest), leafCids: [] };
  const leaves = parts.map((part) => ({
    cid: cidOfDigest(createHash('sha256').update(part).digest()),
    size: part.length,
  }));
  return { cid: (await fileDag(leaves)).cid, leafCids: leaves.map((leaf) => leaf.cid) };
}

function heldSize(held: HeldBytes): number {
  let size = 0;
  for (const bytes of held.values()) size += bytes.length;
  return size;
}
