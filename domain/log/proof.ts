import { equalBytes } from '../encoding.ts';
import { HASH_BYTES, type TreeHash } from './hash.ts';

/** The verification loops of RFC 9162 sections 2.1.3.2 and 2.1.4.2, with division instead of shifts: sizes reach 2^53. */
export interface InclusionClaim {
  index: number;
  size: number;
  leafHash: Uint8Array;
  /** From the leaf's sibling to the root's child. */
  proof: readonly Uint8Array[];
}

const odd = (n: number) => n % 2 === 1;
const half = (n: number) => Math.floor(n / 2);
const wellFormed = (proof: readonly Uint8Array[]) => proof.every((hash) => hash.length === HASH_BYTES);
const isSize = (n: number) => Number.isSafeInteger(n) && n >= 0;

/** The root that the proof leads to, or undefined when it has the wrong length or shape. */
export function inclusionRoot(claim: InclusionClaim, hash: TreeHash): Uint8Array | undefined {
  const { index, size, leafHash, proof } = claim;
  if (!isSize(index) || !isSize(size) || index >= size) return undefined;
  if (leafHash.length !== HASH_BYTES || !wellFormed(proof)) return undefined;
  let fn = index;
  let sn = size - 1;
  let root = leafHash;
  for (const sibling of proof) {
    if (sn === 0) return undefined;
    if (odd(fn) || fn === sn) {
      root = hash.node(sibling, root);
      while (!odd(fn) && fn !== 0) {
        fn = half(fn);
        sn = half(sn);
      }
    } else {
      root = hash.node(root, sibling);
    }
    fn = half(fn);
    sn = half(sn);
  }
  // Reaching the top exactly is what keeps a proof from being stretched or cut.
  return sn === 0 ? root : undefined;
}

export function verifyInclusion(claim: InclusionClaim, root: Uint8Array, hash: TreeHash): boolean {
  const computed = inclusionRoot(claim, hash);
  return computed !== undefined && equalBytes(computed, root);
}

/** On which side each hash of an inclusion proof stands, from leaf to root. */
export function inclusionDirections(index: number, size: number): ('left' | 'right')[] {
  const directions: ('left' | 'right')[] = [];
  let fn = index;
  let sn = size - 1;
  while (sn > 0) {
    if (odd(fn) || fn === sn) {
      directions.push('left');
      while (!odd(fn) && fn !== 0) {
        fn = half(fn);
        sn = half(sn);
      }
    } else {
      directions.push('right');
    }
    fn = half(fn);
    sn = half(sn);
  }
  return directions;
}

export interface ConsistencyClaim {
  from: number;
  to: number;
  fromRoot: Uint8Array;
  toRoot: Uint8Array;
  proof: readonly Uint8Array[];
}

/**
 * Whether the tree of `to` leaves begins with the tree of `from` leaves. Policy for the empty tree: everything begins
 * with it, shown by an empty proof, as witnesses take it (C2SP tlog-witness); its root must still be that of no leaves.
 */
export function verifyConsistency(claim: ConsistencyClaim, hash: TreeHash): boolean {
  const { from, to, fromRoot, toRoot, proof } = claim;
  if (!isSize(from) || !isSize(to) || from > to || !wellFormed(proof)) return false;
  if (fromRoot.length !== HASH_BYTES || toRoot.length !== HASH_BYTES) return false;
  if (from === to) return proof.length === 0 && equalBytes(fromRoot, toRoot);
  if (from === 0) return proof.length === 0 && equalBytes(fromRoot, hash.empty());
  if (proof.length === 0) return false;

  let fn = from - 1;
  let sn = to - 1;
  while (odd(fn)) {
    fn = half(fn);
    sn = half(sn);
  }
  // A complete old tree (its size a power of two) is its own first node and is not repeated in the proof.
  const hashes = fn === 0 ? [fromRoot, ...proof] : proof;
  let oldRoot = hashes[0]!;
  let newRoot = hashes[0]!;
  for (const sibling of hashes.slice(1)) {
    if (sn === 0) return false;
    if (odd(fn) || fn === sn) {
      oldRoot = hash.node(sibling, oldRoot);
      newRoot = hash.node(sibling, newRoot);
      while (!odd(fn) && fn !== 0) {
        fn = half(fn);
        sn = half(sn);
      }
    } else {
      newRoot = hash.node(newRoot, sibling);
    }
    fn = half(fn);
    sn = half(sn);
  }
  return sn === 0 && equalBytes(oldRoot, fromRoot) && equalBytes(newRoot, toRoot);
}
