import { decode } from '@ipld/dag-pb';
import { UnixFS } from 'ipfs-unixfs';
import type { CID } from 'multiformats/cid';
import type { Queryable } from '../../store/pool.ts';
import { BlocksError } from './error.ts';
import { DAG_PB, identityBytes, type Block } from './read-block.ts';
import { requireBlock, type Resolved } from './resolve.ts';

/** Offsets of the first and the last byte; from the end of the file where negative, null is its end. */
export interface ByteRange {
  from: number;
  to: number | null;
}

export interface Selection {
  /** `block`: the end of the path alone. `entity`: what it takes to read that file or list that directory. */
  scope: 'block' | 'entity' | 'all';
  /** Of a file, in an `entity`: the least that it takes to read these bytes. */
  bytes?: ByteRange;
  /** Blocks that occur again are given again. */
  duplicates: boolean;
}

interface Links {
  /** `shard`: a part of a large directory. */
  kind: 'file' | 'directory' | 'shard';
  links: { cid: CID; name: string }[];
  /** Of the bytes below each link of a file. */
  sizes: number[];
}

/** In shards of 256 the names of their own shards are the two digits of their place, those of files have more before. */
const SHARD_NAME_LENGTH = 2;

/**
 * The blocks of a selection, depth first, after those of the path. Blocks that hold themselves in their CID are left out.
 * Throws `range_outside` before anything is given.
 */
export function selectBlocks(
  db: Queryable,
  { path, terminus }: Resolved,
  { scope, bytes, duplicates }: Selection,
): AsyncGenerator<Block, void> {
  const links = linksOf(terminus);
  const isFile = links === undefined || links.kind === 'file';
  const range = bytes === undefined || !isFile ? undefined : absolute(bytes, fileSize(terminus, links));
  const within = range === 'none' ? 'block' : scope;
  return distinct(duplicates, async function* () {
    yield* path;
    yield* below(db, terminus, within, range === 'none' ? undefined : range);
  });
}

async function* distinct(
  duplicates: boolean,
  blocks: () => AsyncGenerator<Block, void>,
): AsyncGenerator<Block, void> {
  const given = new Set<string>();
  for await (const block of blocks()) {
    if (identityBytes(block.cid) !== undefined) continue;
    const name = block.cid.toString();
    if (duplicates || !given.has(name)) yield block;
    if (!duplicates) given.add(name);
  }
}

async function* below(
  db: Queryable,
  block: Block,
  scope: Selection['scope'],
  range?: { from: number; to: number },
): AsyncGenerator<Block, void> {
  yield block;
  const found = scope === 'block' ? undefined : linksOf(block);
  if (found === undefined) return;
  let start = 0;
  for (const [at, { cid, name }] of found.links.entries()) {
    const end = start + (found.sizes[at] ?? 0);
    if (
      isWanted(found.kind, name, scope) &&
      (range === undefined || (start <= range.to && range.from < end))
    ) {
      const inside = range && { from: range.from - start, to: range.to - start };
      yield* below(db, await requireBlock(db, cid), scope, inside);
    }
    start = end;
  }
}

function isWanted(kind: Links['kind'], name: string, scope: Selection['scope']): boolean {
  return scope === 'all' || kind === 'file' || (kind === 'shard' && name.length === SHARD_NAME_LENGTH);
}

/** Undefined for a block of plain bytes. */
function linksOf({ cid, bytes }: Block): Links | undefined {
  if (cid.code !== DAG_PB) return undefined;
  const node = decode(bytes);
  const unixfs = UnixFS.unmarshal(node.Data ?? new Uint8Array());
  return {
    kind: unixfs.type === 'hamt-sharded-directory' ? 'shard' : unixfs.isDirectory() ? 'directory' : 'file',
    links: node.Links.map(({ Hash, Name }) => ({ cid: Hash, name: Name ?? '' })),
    sizes: unixfs.blockSizes.map(Number),
  };
}

function fileSize({ bytes }: Block, links: Links | undefined): number {
  return links === undefined ? bytes.length : links.sizes.reduce((sum, size) => sum + size, 0);
}

/** `none`: the range holds nothing. */
function absolute({ from, to }: ByteRange, size: number): { from: number; to: number } | 'none' {
  const first = from < 0 ? Math.max(0, size + from) : from;
  const last = to === null ? size - 1 : Math.min(size - 1, to < 0 ? size + to : to);
  if (first >= size && size > 0)
    throw new BlocksError('range_outside', `the range begins after the end, which is at ${size}`);
  return first > last ? 'none' : { from: first, to: last };
}
