import { LRUCache } from 'lru-cache';
import { HASH_BYTES, type TreeHash } from '../../domain/log/hash.ts';
import { rangeOfNode, TILE_HEIGHT, TILE_WIDTH, type HashRange } from '../../domain/log/tile.ts';
import type { Node } from '../../domain/log/tree.ts';

/** Of 17 KiB each; a thousand cover 256,000 entries. */
const MAX_TILES = 1_000;

export type ReadRanges = (ranges: readonly HashRange[]) => Promise<Uint8Array[]>;

/** Hashes of one log as they were read once: what stands in a log never changes. */
export interface KnownTiles {
  /** Roots of complete subtrees in the tree of `size`; what is not known is read, all in one call of `read`. */
  nodes(nodes: readonly Node[], size: number, read: ReadRanges): Promise<Uint8Array[]>;
  /** The first `width` hashes of a tile that is there in the tree of `size`. */
  hashes(
    tile: { level: number; index: number; width: number },
    size: number,
    read: ReadRanges,
  ): Promise<Uint8Array>;
}

/** What is known of the tiles of all logs, the last used ones; `of` one log. */
export function createTileMemory(hash: TreeHash): { of(logId: string): KnownTiles } {
  const tiles = new LRUCache<string, KnownTile>({ max: MAX_TILES });
  const tileOf = (logId: string, level: number, index: number): KnownTile => {
    const key = `${logId}/${level}/${index}`;
    let tile = tiles.get(key);
    if (tile === undefined) tiles.set(key, (tile = createKnownTile(hash)));
    return tile;
  };

  /** Reads what is missing of each, up to its width in the tree of `size`: its next proof finds it here. */
  async function fill(places: ReadonlyMap<KnownTile, Place>, size: number, read: ReadRanges): Promise<void> {
    const missing = [...places].flatMap(([tile, { level, index, width }]) => {
      if (tile.width() >= width) return [];
      const start = index * TILE_WIDTH;
      const there = Math.floor(size / TILE_WIDTH ** level) - start;
      const end = Math.min(TILE_WIDTH, Math.max(width, there));
      const from = tile.width();
      return [{ tile, from, range: { level, start: start + from, count: end - from } }];
    });
    if (missing.length === 0) return;
    const found = await read(missing.map(({ range }) => range));
    missing.forEach(({ tile, from }, i) => tile.add(from, found[i]!));
  }

  return {
    of: (logId) => ({
      async nodes(nodes, size, read) {
        const places = new Map<KnownTile, Place>();
        const wanted = nodes.map((node) => {
          const { level, start, count } = rangeOfNode(node);
          const index = Math.floor(start / TILE_WIDTH);
          const tile = tileOf(logId, level, index);
          const inTile = start - index * TILE_WIDTH;
          const width = Math.max(inTile + count, places.get(tile)?.width ?? 0);
          places.set(tile, { level, index, width });
          return { tile, height: node.level % TILE_HEIGHT, at: inTile / count };
        });
        await fill(places, size, read);
        return wanted.map(({ tile, height, at }) => tile.node(height, at));
      },
      async hashes({ level, index, width }, size, read) {
        const tile = tileOf(logId, level, index);
        await fill(new Map([[tile, { level, index, width }]]), size, read);
        return tile.hashes(width);
      },
    }),
  };
}

/** A tile, and how many of its hashes are needed. */
interface Place {
  level: number;
  index: number;
  width: number;
}

/** One tile's hashes with the nodes above them, as far as they are known. */
interface KnownTile {
  /** How many of its hashes are known, from the first on. */
  width(): number;
  /** Hashes from `from` on, which is not beyond the width. */
  add(from: number, hashes: Uint8Array): void;
  hashes(width: number): Uint8Array;
  /** The node at `height` above the tile's hashes; what is below it must be known. */
  node(height: number, at: number): Uint8Array;
}

function createKnownTile(hash: TreeHash): KnownTile {
  // The tile's hashes, then the nodes above them row by row. A node's bytes never change once they are there.
  const rows = new Uint8Array(2 * TILE_WIDTH * HASH_BYTES);
  const made = new Uint8Array(2 * TILE_WIDTH);
  let width = 0;
  const bytesAt = (place: number) => rows.subarray(place * HASH_BYTES, (place + 1) * HASH_BYTES);

  function node(height: number, at: number): Uint8Array {
    const place = 2 * TILE_WIDTH - 2 * (TILE_WIDTH >> height) + at;
    if (height > 0 && made[place] === 0) {
      rows.set(hash.node(node(height - 1, 2 * at), node(height - 1, 2 * at + 1)), place * HASH_BYTES);
      made[place] = 1;
    }
    return bytesAt(place);
  }

  return {
    width: () => width,
    add(from, hashes) {
      rows.set(hashes, from * HASH_BYTES);
      width = Math.max(width, from + hashes.length / HASH_BYTES);
    },
    hashes: (count) => rows.subarray(0, count * HASH_BYTES),
    node,
  };
}
