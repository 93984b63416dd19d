import { concatBytes } from '../encoding.ts';
import type { TreeHash } from './hash.ts';
import { splitHashes, TILE_HEIGHT, TILE_WIDTH, type HashRange } from './tile.ts';
import { foldHashes } from './tree.ts';

/** A tile that became full: its hashes, and the root of its own subtree, which is a hash of the tile level above. */
export interface FullTile {
  level: number;
  index: number;
  root: Uint8Array;
  hashes: Uint8Array;
}

/**
 * The right edge of a growing tree: all that appending needs. `edge` are the complete subtrees of the whole tree,
 * largest first; `tiles[l]` are the hashes so far in the partial tile of tile level l, at most 255. Appending costs two
 * hashes per leaf on average; the roots of full tiles come out of the same hashing.
 */
export class Frontier {
  readonly #hash: TreeHash;
  #size: number;
  #edge: Uint8Array[];
  #tiles: Uint8Array[][];

  private constructor(hash: TreeHash, size: number, edge: Uint8Array[], tiles: Uint8Array[][]) {
    this.#hash = hash;
    this.#size = size;
    this.#edge = edge;
    this.#tiles = tiles;
  }

  static empty(hash: TreeHash): Frontier {
    return new Frontier(hash, 0, [], []);
  }

  /** What `restore` needs of a tree of `size`, lowest level first: the hashes of each level's partial tile. */
  static ranges(size: number): HashRange[] {
    const ranges: HashRange[] = [];
    for (let level = 0, hashes = size; hashes > 0; level++, hashes = Math.floor(hashes / TILE_WIDTH)) {
      const count = hashes % TILE_WIDTH;
      ranges.push({ level, start: hashes - count, count });
    }
    return ranges;
  }

  /** From the bytes of `ranges(size)`, in their order. */
  static restore(size: number, partialTiles: readonly Uint8Array[], hash: TreeHash): Frontier {
    const tiles = partialTiles.map(splitHashes);
    const edge = tiles.toReversed().flatMap((tile) => completeSubtrees(tile, hash));
    return new Frontier(hash, size, edge, tiles);
  }

  get size(): number {
    return this.#size;
  }

  /** The bytes of `ranges(size)`: what `restore` takes. */
  partialTiles(): Uint8Array[] {
    return this.#tiles.map((tile) => concatBytes(...tile));
  }

  root(): Uint8Array {
    return foldHashes(this.#edge, this.#hash);
  }

  /** A copy to append to: when a transaction fails, the old one still stands. */
  fork(): Frontier {
    return new Frontier(
      this.#hash,
      this.#size,
      [...this.#edge],
      this.#tiles.map((tile) => [...tile]),
    );
  }

  /** Appends one leaf and returns the tiles that it filled, lowest level first. */
  append(leafHash: Uint8Array): FullTile[] {
    const filled: FullTile[] = [];
    let node = leafHash;
    let index = this.#size;
    let level = 0;
    this.#tile(0).push(node);
    while (index % 2 === 1) {
      node = this.#hash.node(this.#edge.pop()!, node);
      index = (index - 1) / 2;
      level++;
      if (level % TILE_HEIGHT === 0) {
        const tileLevel = level / TILE_HEIGHT - 1;
        filled.push({ level: tileLevel, index, root: node, hashes: concatBytes(...this.#tile(tileLevel)) });
        this.#tiles[tileLevel] = [];
        this.#tile(tileLevel + 1).push(node);
      }
    }
    this.#edge.push(node);
    this.#size++;
    return filled;
  }

  #tile(level: number): Uint8Array[] {
    return (this.#tiles[level] ??= []);
  }
}

/** A partial tile as complete subtrees, largest first. */
function completeSubtrees(hashes: readonly Uint8Array[], hash: TreeHash): Uint8Array[] {
  let row = [...hashes];
  const subtrees: Uint8Array[] = [];
  while (row.length > 0) {
    if (row.length % 2 === 1) subtrees.unshift(row.pop()!);
    row = Array.from({ length: row.length / 2 }, (_, i) => hash.node(row[2 * i]!, row[2 * i + 1]!));
  }
  return subtrees;
}
