/**
 * The block store. Blocks are kept where they came to be: documents and directories in `blocks`, outputs and files in
 * `blobs`; the nodes of large files are made again from their leaves. Whatever is read is hashed again, and nothing else
 * than what the CID names is ever handed on.
 */
import type { CID } from 'multiformats/cid';
import { fileDag } from '../../domain/blocks/unixfs.ts';
import { findFileDigest, readStoredBlock } from '../../store/blocks.ts';
import { listBlobParts } from '../../store/blobs.ts';
import type { Queryable } from '../../store/pool.ts';
import { DamagedBytes, sound } from '../../store/sound.ts';

export const RAW = 0x55;
export const DAG_PB = 0x70;
const SHA2_256 = 0x12;
const IDENTITY = 0x00;

export interface Block {
  cid: CID;
  bytes: Uint8Array;
}

/** The bytes that a CID holds in itself, or undefined. */
export function identityBytes(cid: CID): Uint8Array | undefined {
  return cid.multihash.code === IDENTITY ? cid.multihash.digest : undefined;
}

/**
 * The block that `cid` names; undefined when it is not here. Throws DamagedBytes. Nobody is asked whether he may see it:
 * whoever starts from a CID asks that first, and what a block links to belongs to who may see the block.
 */
export async function readBlock(db: Queryable, cid: CID): Promise<Block | undefined> {
  const { code, digest } = cid.multihash;
  if (code === IDENTITY) return { cid, bytes: digest };
  if (code !== SHA2_256 || (cid.code !== RAW && cid.code !== DAG_PB)) return undefined;
  const name = cid.toV1().toString();
  const stored = await readStoredBlock(db, digest, name);
  if (stored !== undefined) return { cid, bytes: sound(stored, digest) };
  if (cid.code === RAW) return undefined;
  const node = await fileNode(db, name);
  return node === undefined ? undefined : { cid, bytes: sound(node, digest) };
}

/** The dag-pb block of a large file, made from the CIDs of its leaves. */
async function fileNode(db: Queryable, cid: string): Promise<Uint8Array | undefined> {
  const sha256 = await findFileDigest(db, cid);
  const leaves = sha256 && (await fileLeaves(db, sha256));
  if (leaves === undefined) return undefined;
  const node = (await fileDag(leaves)).nodes.find((made) => made.cid === cid);
  // The leaves are there and make another file: one of their CIDs was changed.
  if (node === undefined) throw new DamagedBytes(cid);
  return node.bytes;
}

async function fileLeaves(
  db: Queryable,
  sha256: Uint8Array,
): Promise<{ cid: string; size: number }[] | undefined> {
  const parts = await listBlobParts(db, sha256);
  if (parts.length === 0) return undefined;
  return parts.map(({ leafCid, size }) => {
    if (leafCid === null) throw new DamagedBytes(Buffer.from(sha256).toString('hex'));
    return { cid: leafCid, size };
  });
}
