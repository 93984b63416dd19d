import { CID } from 'multiformats/cid';
import { fileDag } from '../../domain/blocks/unixfs.ts';
import { getBlobPart, listBlobParts } from '../../store/blobs.ts';
import type { Queryable } from '../../store/pool.ts';
import { DamagedBytes, sound } from '../../store/sound.ts';

export interface StoredFile {
  size: number;
  /** The bytes from `from` up to and without `to`, a part at a time, each hashed again before it is handed on. */
  read(from: number, to: number): AsyncGenerator<Uint8Array, void>;
}

interface Part {
  size: number;
  /** By which its bytes are judged. */
  sha256: Uint8Array;
}

/**
 * Opens the bytes stored under `sha256`; undefined when they are not there. Those of several parts are judged by the CIDs
 * of the parts, and those by the CID of the file. Throws DamagedBytes, also while reading.
 */
export async function openStoredFile(
  db: Queryable,
  sha256: Uint8Array,
  cid: string | null,
): Promise<StoredFile | undefined> {
  const stored = await listBlobParts(db, sha256);
  const [first] = stored;
  if (first === undefined) return undefined;
  const parts: Part[] =
    first.leafCid === null
      ? [{ size: first.size, sha256 }]
      : stored.map(({ size, leafCid }) => ({ size, sha256: digestOf(leafCid) }));
  if (first.leafCid !== null) await checkLeaves(stored, cid);
  return {
    size: parts.reduce((size, part) => size + part.size, 0),
    read: (from, to) => read(db, sha256, parts, from, to),
  };
}

function digestOf(leafCid: string | null): Uint8Array {
  if (leafCid === null) throw new DamagedBytes('a part without a CID');
  return CID.parse(leafCid).multihash.digest;
}

async function checkLeaves(
  stored: readonly { size: number; leafCid: string | null }[],
  cid: string | null,
): Promise<void> {
  const leaves = stored.map(({ size, leafCid }) => ({ size, cid: leafCid ?? '' }));
  if (cid === null || (await fileDag(leaves)).cid !== cid)
    throw new DamagedBytes(cid ?? 'a file without a CID');
}

async function* read(
  db: Queryable,
  sha256: Uint8Array,
  parts: readonly Part[],
  from: number,
  to: number,
): AsyncGenerator<Uint8Array, void> {
  let start = 0;
  for (const [at, part] of parts.entries()) {
    const end = start + part.size;
    if (start < to && from < end) {
      const bytes = await getBlobPart(db, sha256, at);
      if (bytes === undefined) throw new DamagedBytes(Buffer.from(part.sha256).toString('hex'));
      yield sound(bytes, part.sha256).subarray(Math.max(0, from - start), Math.min(part.size, to - start));
    }
    start = end;
  }
}
