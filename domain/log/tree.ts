import { LogError } from './error.ts';
import type { TreeHash } from './hash.ts';

/**
 * Where the hashes of roots and proofs come from (RFC 6962 section 2.1). Every hash of a proof is the root of a range
 * of leaves, and every range is a row of complete subtrees, largest first: a **node** at `level` and `index` covers the
 * leaves [index · 2^level, (index + 1) · 2^level). Numbers stay below 2^53, so there is no bit shifting on them.
 */
export interface Node {
  level: number;
  index: number;
}

/** The complete subtrees whose hashes, folded, give one hash. */
export type Fold = Node[];

/** Hashes of complete subtrees, in the order asked. */
export type ReadNodes = (nodes: readonly Node[]) => Promise<Uint8Array[]>;

/** Largest power of two smaller than `n` (n ≥ 2). */
function splitPoint(n: number): number {
  let split = 1;
  while (split * 2 < n) split *= 2;
  return split;
}

/** The complete subtrees of the leaves [start, start + size), where start is a multiple of the range's enclosing power. */
function rangeFold(start: number, size: number): Fold {
  const nodes: Fold = [];
  let at = start;
  for (let left = size; left > 0;) {
    let width = 1;
    let level = 0;
    while (width * 2 <= left) {
      width *= 2;
      level++;
    }
    nodes.push({ level, index: at / width });
    at += width;
    left -= width;
  }
  return nodes;
}

export function rootFold(size: number): Fold {
  checkSize(size);
  return rangeFold(0, size);
}

/** One fold for each hash of the inclusion proof, from the leaf's sibling to the root's child. */
export function inclusionFolds(index: number, size: number): Fold[] {
  checkSize(size);
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) {
    throw new LogError('size_out_of_range', `no leaf ${index} in a tree of ${size}`);
  }
  const folds: Fold[] = [];
  let start = 0;
  let width = size;
  while (width > 1) {
    const split = splitPoint(width);
    if (index - start < split) {
      folds.push(rangeFold(start + split, width - split));
      width = split;
    } else {
      folds.push(rangeFold(start, split));
      start += split;
      width -= split;
    }
  }
  return folds.reverse();
}

/** One fold for each hash of the consistency proof between the trees of `from` and `to` leaves; none when they are equal. */
export function consistencyFolds(from: number, to: number): Fold[] {
  checkSize(to);
  if (!Number.isSafeInteger(from) || from < 1 || from > to) {
    throw new LogError('size_out_of_range', `no proof from size ${from} to size ${to}`);
  }
  const folds: Fold[] = [];
  let start = 0;
  let width = to;
  let old = from;
  // The old root itself is known to the verifier, so it is left out while the walk stays on the tree's left edge.
  let onLeftEdge = true;
  while (old < width) {
    const split = splitPoint(width);
    if (old <= split) {
      folds.push(rangeFold(start + split, width - split));
      width = split;
    } else {
      folds.push(rangeFold(start, split));
      start += split;
      width -= split;
      old -= split;
      onLeftEdge = false;
    }
  }
  if (!onLeftEdge) folds.push(rangeFold(start, width));
  return folds.reverse();
}

/** Reads all nodes at once and folds them to one hash per fold. */
export async function readFolds(
  folds: readonly Fold[],
  hash: TreeHash,
  read: ReadNodes,
): Promise<Uint8Array[]> {
  const nodes = folds.flat();
  const hashes = nodes.length === 0 ? [] : await read(nodes);
  let at = 0;
  return folds.map((fold) => {
    const row = hashes.slice(at, at + fold.length);
    at += fold.length;
    return foldHashes(row, hash);
  });
}

/** The root over a row of complete subtrees, largest first. */
export function foldHashes(row: readonly Uint8Array[], hash: TreeHash): Uint8Array {
  if (row.length === 0) return hash.empty();
  return row.reduceRight((right, left) => hash.node(left, right));
}

function checkSize(size: number): void {
  if (!Number.isSafeInteger(size) || size < 0)
    throw new LogError('size_out_of_range', `${size} is no tree size`);
}
