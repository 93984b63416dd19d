import { NotFoundError, NotUnixFSError, BadPathError, NoResolverError, walkPath } from 'ipfs-unixfs-exporter';
import type { CID } from 'multiformats/cid';
import type { Queryable } from '../../store/pool.ts';
import { BlocksError } from './error.ts';
import { readBlock, type Block } from './read-block.ts';

export interface Resolved {
  /** What was read on the way to the end, in order; not the end itself. */
  path: Block[];
  /** One CID for the root and each name of the path. */
  roots: CID[];
  terminus: Block;
}

const NO_SUCH_PATH = [NotFoundError, NotUnixFSError, BadPathError, NoResolverError];

/** Follows `names` through UnixFS directories from `root` on; undefined when the root is not here. */
export async function resolvePath(
  db: Queryable,
  root: CID,
  names: readonly string[],
): Promise<Resolved | undefined> {
  const first = await readBlock(db, root);
  if (first === undefined) return undefined;
  if (names.length === 0) return { path: [], roots: [root], terminus: first };
  const path: Block[] = [];
  const blockstore = {
    async *get(cid: CID) {
      const block = cid.equals(root) ? first : await requireBlock(db, cid);
      path.push(block);
      yield block.bytes;
    },
  };
  let end;
  try {
    for await (const entry of walkPath(`${root.toString()}/${names.join('/')}`, blockstore)) end = entry;
  } catch (error) {
    if (NO_SUCH_PATH.some((kind) => error instanceof kind)) throw noSuchPath(names, error);
    throw error;
  }
  // The walker takes a file for the end of every path that leads through it.
  if (end === undefined || end.remainder.length > 0) throw noSuchPath(names);
  return { path, roots: end.roots, terminus: await requireBlock(db, end.cid) };
}

export async function requireBlock(db: Queryable, cid: CID): Promise<Block> {
  const block = await readBlock(db, cid);
  if (block === undefined) throw new BlocksError('block_missing', `the block ${cid.toString()} is not here`);
  return block;
}

function noSuchPath(names: readonly string[], cause?: unknown): BlocksError {
  return new BlocksError('path_not_found', `there is no /${names.join('/')} in it`, { cause });
}
