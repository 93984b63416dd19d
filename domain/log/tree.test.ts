import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, fromHex, toHex } from '../encoding.ts';
import { Frontier } from './frontier.ts';
import { treeHash } from './hash.ts';
import { inclusionDirections, inclusionRoot, verifyConsistency, verifyInclusion } from './proof.ts';
import { rangeOfNode, subtreeRoot, type HashRange } from './tile.ts';
import { consistencyFolds, inclusionFolds, readFolds, rootFold, type Node } from './tree.ts';

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest());
const hash = treeHash(sha256);
const leaves = Array.from({ length: 700 }, (_, i) => hash.leaf(Uint8Array.of(i % 256, i >> 8)));

/** The definition of RFC 6962 section 2.1, word for word recursive: slow, and independent of everything under test. */
function naiveRoot(rows: readonly Uint8Array[]): Uint8Array {
  if (rows.length === 0) return sha256(new Uint8Array());
  if (rows.length === 1) return rows[0]!;
  const split = 2 ** Math.ceil(Math.log2(rows.length) - 1);
  const parts = [Uint8Array.of(1), naiveRoot(rows.slice(0, split)), naiveRoot(rows.slice(split))];
  return sha256(concatBytes(...parts));
}

const readNodes = async (nodes: readonly Node[]) =>
  nodes.map(({ level, index }) => naiveRoot(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level)));
const rootOf = (size: number) => naiveRoot(leaves.slice(0, size));
const inclusionProof = (index: number, size: number) =>
  readFolds(inclusionFolds(index, size), hash, readNodes);
const consistencyProof = (from: number, to: number) => readFolds(consistencyFolds(from, to), hash, readNodes);

function flipBit(bytes: Uint8Array, bit: number): Uint8Array {
  const flipped = Uint8Array.from(bytes);
  flipped[bit >> 3] = flipped[bit >> 3]! ^ (1 << (bit & 7));
  return flipped;
}
const flipIn = (proof: readonly Uint8Array[], at: number, bit: number) =>
  proof.map((item, i) => (i === at ? flipBit(item, bit) : item));

const sizes = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: leaves.length }));
const bits = fc.nat(255);

describe('the tree', () => {
  it('has the roots of the reference vectors of certificate transparency', () => {
    const inputs = [
      '',
      '00',
      '10',
      '2021',
      '3031',
      '40414243',
      '5051525354555657',
      '606162636465666768696a6b6c6d6e6f',
    ];
    const rows = inputs.map((input) => hash.leaf(fromHex(input)!));
    const frontier = Frontier.empty(hash);
    const roots = [toHex(frontier.root())];
    for (const row of rows) {
      frontier.append(row);
      roots.push(toHex(frontier.root()));
    }
    expect(roots[0]).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    expect(roots[1]).toBe('6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d');
    expect(roots[8]).toBe('5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328');
  });

  it('grows, restores and folds to the root of the definition at every size', async () => {
    const frontier = Frontier.empty(hash);
    for (const [i, leaf] of leaves.entries()) {
      frontier.append(leaf);
      const size = i + 1;
      if (size % 7 !== 0 && size % 256 > 1) continue;
      const root = toHex(rootOf(size));
      expect(toHex(frontier.root())).toBe(root);
      expect(toHex((await readFolds([rootFold(size)], hash, readNodes))[0]!)).toBe(root);
      const restored = Frontier.restore(size, Frontier.ranges(size).map(readRange), hash);
      expect(toHex(restored.root())).toBe(root);
      if (i + 1 < leaves.length) {
        restored.append(leaves[i + 1]!);
        expect(toHex(restored.root())).toBe(toHex(rootOf(size + 1)));
      }
    }
  });

  it('emits each tile once, full, with the root of its subtree', () => {
    const small = Array.from({ length: 65_536 + 300 }, (_, i) => leaves[i % leaves.length]!);
    const frontier = Frontier.empty(hash);
    const tiles = small.flatMap((leaf) => frontier.append(leaf));
    expect(tiles.filter((tile) => tile.level === 0).map((tile) => tile.index)).toEqual(
      Array.from({ length: 257 }, (_, i) => i),
    );
    for (const tile of tiles) expect(toHex(subtreeRoot(tile.hashes, hash))).toBe(toHex(tile.root));
    const above = tiles.filter((tile) => tile.level === 1);
    expect(above).toHaveLength(1);
    const below = tiles.filter((tile) => tile.level === 0).slice(0, 256);
    expect(toHex(above[0]!.hashes)).toBe(toHex(concatBytes(...below.map((tile) => tile.root))));
  });

  it('is not changed by what is appended to a fork', () => {
    const frontier = Frontier.empty(hash);
    for (const leaf of leaves.slice(0, 255)) frontier.append(leaf);
    const fork = frontier.fork();
    for (const leaf of leaves.slice(255, 300)) fork.append(leaf);
    expect(toHex(fork.root())).toBe(toHex(rootOf(300)));
    expect(toHex(frontier.root())).toBe(toHex(rootOf(255)));
    expect(frontier.append(leaves[255]!)).toHaveLength(1);
  });

  it('finds the subtree of every node below one tile', () => {
    for (let level = 0; level < 9; level++) {
      const node = { level, index: 1 };
      const range = rangeOfNode(node);
      expect(range.count).toBeLessThanOrEqual(128);
      expect(toHex(subtreeRoot(readRange(range), hash))).toBe(
        toHex(naiveRoot(leaves.slice(2 ** level, 2 ** (level + 1)))),
      );
    }
  });
});

describe('inclusion proofs', () => {
  it('verify for every leaf of every size up to 33', async () => {
    for (let size = 1; size <= 33; size++) {
      for (let index = 0; index < size; index++) {
        const proof = await inclusionProof(index, size);
        expect(verifyInclusion({ index, size, leafHash: leaves[index]!, proof }, rootOf(size), hash)).toBe(
          true,
        );
        expect(inclusionDirections(index, size)).toHaveLength(proof.length);
      }
    }
  });

  it('verify at random sizes, and fail with any bit of leaf, proof or root flipped', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(), fc.nat(), bits, async (size, anyIndex, anyHash, bit) => {
        const index = anyIndex % size;
        const claim = { index, size, leafHash: leaves[index]!, proof: await inclusionProof(index, size) };
        const root = rootOf(size);
        expect(verifyInclusion(claim, root, hash)).toBe(true);
        expect(verifyInclusion(claim, flipBit(root, bit), hash)).toBe(false);
        expect(verifyInclusion({ ...claim, leafHash: flipBit(claim.leafHash, bit) }, root, hash)).toBe(false);
        if (claim.proof.length > 0) {
          const proof = flipIn(claim.proof, anyHash % claim.proof.length, bit);
          expect(verifyInclusion({ ...claim, proof }, root, hash)).toBe(false);
          expect(verifyInclusion({ ...claim, proof: claim.proof.slice(1) }, root, hash)).toBe(false);
        }
        expect(verifyInclusion({ ...claim, proof: [...claim.proof, root] }, root, hash)).toBe(false);
        expect(verifyInclusion({ ...claim, index: size }, root, hash)).toBe(false);
        if (size > 1) {
          const other = (index + 1) % size;
          expect(verifyInclusion({ ...claim, index: other }, root, hash)).toBe(false);
        }
      }),
    );
  });

  it('work beyond 2^31 leaves, where shifts would wrap', () => {
    const size = 2 ** 40 + 3;
    const index = 2 ** 40 + 1;
    const folds = inclusionFolds(index, size);
    const proof = folds.map((_, i) => leaves[i]!);
    const root = inclusionRoot({ index, size, leafHash: leaves[9]!, proof }, hash);
    expect(root).toBeDefined();
    expect(folds.map((fold) => fold.length)).toEqual([1, 1, 1]);
    expect(folds[2]).toEqual([{ level: 40, index: 0 }]);
    expect(inclusionDirections(index, size)).toEqual(['left', 'right', 'left']);
  });

  it('name the side of each sibling so that a plain fold reaches the root', async () => {
    const [index, size] = [300, 517];
    const proof = await inclusionProof(index, size);
    const directions = inclusionDirections(index, size);
    const root = proof.reduce(
      (node, sibling, i) => (directions[i] === 'left' ? hash.node(sibling, node) : hash.node(node, sibling)),
      leaves[index]!,
    );
    expect(toHex(root)).toBe(toHex(rootOf(size)));
  });
});

describe('consistency proofs', () => {
  it('verify for every pair of sizes up to 33', async () => {
    for (let to = 1; to <= 33; to++) {
      for (let from = 1; from <= to; from++) {
        const proof = await consistencyProof(from, to);
        const claim = { from, to, fromRoot: rootOf(from), toRoot: rootOf(to), proof };
        expect(verifyConsistency(claim, hash)).toBe(true);
      }
    }
  });

  it('verify at random sizes, and fail with any bit of proof or roots flipped', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, sizes, fc.nat(), bits, async (a, b, anyHash, bit) => {
        const [from, to] = a < b ? [a, b] : [b, a];
        const proof = await consistencyProof(from, to);
        const claim = { from, to, fromRoot: rootOf(from), toRoot: rootOf(to), proof };
        expect(verifyConsistency(claim, hash)).toBe(true);
        expect(verifyConsistency({ ...claim, fromRoot: flipBit(claim.fromRoot, bit) }, hash)).toBe(false);
        expect(verifyConsistency({ ...claim, toRoot: flipBit(claim.toRoot, bit) }, hash)).toBe(false);
        expect(verifyConsistency({ ...claim, proof: [...proof, claim.toRoot] }, hash)).toBe(false);
        if (proof.length > 0) {
          const flipped = flipIn(proof, anyHash % proof.length, bit);
          expect(verifyConsistency({ ...claim, proof: flipped }, hash)).toBe(false);
          expect(verifyConsistency({ ...claim, proof: proof.slice(0, -1) }, hash)).toBe(false);
        }
      }),
    );
  });

  it('begin with the empty tree by an empty proof only', () => {
    const claim = { from: 0, to: 5, fromRoot: hash.empty(), toRoot: rootOf(5), proof: [] };
    expect(verifyConsistency(claim, hash)).toBe(true);
    expect(verifyConsistency({ ...claim, proof: [rootOf(5)] }, hash)).toBe(false);
    expect(verifyConsistency({ ...claim, fromRoot: rootOf(1) }, hash)).toBe(false);
  });
});

function readRange({ level, start, count }: HashRange): Uint8Array {
  const width = 256 ** level;
  return concatBytes(
    ...Array.from({ length: count }, (_, i) =>
      naiveRoot(leaves.slice((start + i) * width, (start + i + 1) * width)),
    ),
  );
}
