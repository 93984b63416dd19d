/**
 * Builds a tree again from what a log gives out, and compares every step: each entry with the tile of leaf hashes, each
 * tile with what it is made of, the whole with the roots that were signed. Where two parts contradict each other, the part
 * above them says which one is wrong; the audit goes on with the other, so that one fault hides no second one.
 */
import { concatBytes, equalBytes } from '../../encoding.ts';
import { Frontier, type FullTile } from '../frontier.ts';
import type { TreeHash } from '../hash.ts';
import { subtreeRoot, TILE_WIDTH, tilePath } from '../tile.ts';
import type { FindingCode, Findings } from './finding.ts';
import { blameEntries, checkLeaves, disagrees, hashesOf, readGroup, told, type Group } from './group.ts';
import type { AuditSource } from './source.ts';

/** A root that must come out at a size, and how it is called when it does not. */
export interface ExpectedRoot {
  size: number;
  root: Uint8Array;
  code: FindingCode;
  where: string;
}

export interface TreeAuditOptions {
  source: AuditSource;
  hash: TreeHash;
  findings: Findings;
  /** Where an earlier audit stopped: complete groups only. Default the empty tree. */
  from?: Frontier;
}

export interface TreeAudit {
  /** Entries in complete groups that were looked at. */
  readonly edge: Frontier;
  /**
   * Goes on by one group of up to 256 entries towards `goal`; true when that is reached. `expected` are further roots on
   * the way. False for ever when too much is missing to go on: see `stuck`.
   */
  next(goal: ExpectedRoot, expected?: readonly ExpectedRoot[]): Promise<boolean>;
  readonly stuck: boolean;
}

export function createTreeAudit({ source, hash, findings, from }: TreeAuditOptions): TreeAudit {
  let edge = from ?? Frontier.empty(hash);
  let stuck = false;

  /** Which of two views is right, as the hash one tile level up says. */
  async function judge(group: Group, goal: ExpectedRoot): Promise<'entries' | 'tile'> {
    const [byEntries, byTile] = [hashesOf(group, 'entries'), hashesOf(group, 'tile')];
    if (byEntries === undefined || byTile === undefined) return 'tile';
    if (group.width < TILE_WIDTH) {
      return equalBytes(append(edge, byEntries).root(), goal.root) ? 'entries' : 'tile';
    }
    const above = Math.floor(group.index / TILE_WIDTH);
    const width = Math.min(TILE_WIDTH, Math.floor(goal.size / TILE_WIDTH) - above * TILE_WIDTH);
    const parent = await told(source.tile(1, above, width), findings);
    const at = (group.index % TILE_WIDTH) * 32;
    const root = parent?.hashes.subarray(at, at + 32);
    const root256 = subtreeRoot(concatBytes(...byEntries), hash);
    return root !== undefined && equalBytes(root256, root) ? 'entries' : 'tile';
  }

  function compareRoots(size: number, root: Uint8Array, expected: readonly ExpectedRoot[]): void {
    for (const one of expected) {
      if (one.size !== size || equalBytes(one.root, root)) continue;
      findings.add(one.code, one.where, `the first ${size} entries lead to another root`);
    }
  }

  async function compareFull({ level, index, root, hashes }: FullTile): Promise<void> {
    const path = tilePath({ level, index, width: TILE_WIDTH });
    const stored = await told(source.tile(level, index, TILE_WIDTH), findings);
    if (stored === undefined) findings.add('tile_missing', path, 'it is not there');
    else if (!equalBytes(stored.hashes, hashes))
      findings.add('tile_altered', path, 'it is not that of its entries');
    else if (stored.root !== undefined && !equalBytes(stored.root, root))
      findings.add('tile_altered', path, 'the root stored with it is another one');
  }

  /** The partial tiles above the leaves, of the tree as it is now. */
  async function compareEdge(tree: Frontier): Promise<void> {
    for (const [level, hashes] of tree.partialTiles().entries()) {
      const width = hashes.length / 32;
      if (level === 0 || width === 0) continue;
      const index = Math.floor(tree.size / TILE_WIDTH ** (level + 1));
      const path = tilePath({ level, index, width });
      const stored = await told(source.tile(level, index, width), findings);
      if (stored === undefined) findings.add('tile_missing', path, 'it is not there');
      else if (!equalBytes(stored.hashes, hashes))
        findings.add('tile_altered', path, 'it is not that of its entries');
    }
  }

  return {
    get edge() {
      return edge;
    },
    get stuck() {
      return stuck;
    },
    async next(goal, expected = []) {
      const all = [...expected, goal];
      const start = edge.size;
      const width = Math.min(TILE_WIDTH, goal.size - start);
      if (width <= 0) {
        compareRoots(start, edge.root(), all);
        await compareEdge(edge);
        return true;
      }
      const group = await readGroup(source, start / TILE_WIDTH, width, hash, findings);
      const right = disagrees(group) ? await judge(group, goal) : 'tile';
      const hashes = hashesOf(group, right);
      if (hashes === undefined) {
        stuck = true;
        return false;
      }
      if (disagrees(group)) {
        if (right === 'tile') blameEntries(group, findings);
        else
          findings.add(
            'tile_altered',
            tilePath({ level: 0, index: group.index, width }),
            'it is not that of its entries',
          );
      }
      checkLeaves(group, findings);
      const tree = edge.fork();
      const filled: FullTile[] = [];
      const sizes = new Set(all.map(({ size }) => size));
      for (const one of hashes) {
        filled.push(...tree.append(one));
        if (sizes.has(tree.size)) compareRoots(tree.size, tree.root(), all);
      }
      for (const tile of filled) {
        if (tile.level > 0) await compareFull(tile);
        else if (group.tileRoot !== undefined && !equalBytes(group.tileRoot, tile.root))
          findings.add(
            'tile_altered',
            tilePath({ level: 0, index: group.index, width }),
            'the root stored with it is another one',
          );
      }
      if (width === TILE_WIDTH) edge = tree;
      if (tree.size < goal.size) return false;
      await compareEdge(tree);
      return true;
    },
  };
}

function append(edge: Frontier, hashes: readonly Uint8Array[]): Frontier {
  const tree = edge.fork();
  for (const one of hashes) tree.append(one);
  return tree;
}
