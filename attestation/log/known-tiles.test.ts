import fc from 'fast-check';
import { expect, test } from 'vitest';
import { treeHash } from '../../domain/log/hash.ts';
import { verifyInclusion } from '../../domain/log/proof.ts';
import { TILE_WIDTH, type HashRange } from '../../domain/log/tile.ts';
import { inclusionFolds, readFolds, rootFold } from '../../domain/log/tree.ts';
import { nodeSha256 } from '../keys/node-verifiers.ts';
import { createTileMemory } from './known-tiles.ts';

const hash = treeHash(nodeSha256);
const ENTRIES = 70_000;
/** The hashes of each tile level of a log of 70,000 entries, which has three. */
const levels = [Array.from({ length: ENTRIES }, (_, i) => hash.leaf(Buffer.from(String(i))))];
for (let below = levels[0]!; below.length >= TILE_WIDTH;) {
  let row = below.slice(0, below.length - (below.length % TILE_WIDTH));
  for (let height = 0; height < 8; height++)
    row = Array.from({ length: row.length / 2 }, (_, i) => hash.node(row[2 * i]!, row[2 * i + 1]!));
  levels.push(row);
  below = row;
}

function stand() {
  const known = createTileMemory(hash).of('log');
  const reads: HashRange[][] = [];
  const read = (ranges: readonly HashRange[], size: number) => {
    reads.push([...ranges]);
    return Promise.resolve(
      ranges.map(({ level, start, count }) => {
        const end = start + count;
        // Within one tile, and of a tree of this size.
        expect(Math.floor(start / TILE_WIDTH)).toBe(Math.floor((end - 1) / TILE_WIDTH));
        expect(end).toBeLessThanOrEqual(Math.floor(size / TILE_WIDTH ** level));
        return Buffer.concat(levels[level]!.slice(start, end));
      }),
    );
  };
  const fold = (folds: Parameters<typeof readFolds>[0], size: number) =>
    readFolds(folds, hash, (nodes) => known.nodes(nodes, size, (ranges) => read(ranges, size)));
  return { known, reads, read, fold };
}

test('proofs of a log that grows are right, whatever was asked before', async () => {
  const { fold } = stand();
  const asked = fc.record({
    size: fc.integer({ min: 1, max: ENTRIES }),
    at: fc.double({ min: 0, max: 0.999999, noNaN: true }),
  });
  await fc.assert(
    fc.asyncProperty(asked, async ({ size, at }) => {
      const index = Math.floor(at * size);
      const [root] = await fold([rootFold(size)], size);
      const proof = await fold(inclusionFolds(index, size), size);
      expect(verifyInclusion({ index, size, leafHash: levels[0]![index]!, proof }, root!, hash)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test('a tile that is known is not read again, and of one that grew only what came', async () => {
  const { fold, reads } = stand();
  await fold(inclusionFolds(700, 1_000), 1_000);
  reads.length = 0;
  for (const index of [513, 767, 600]) await fold(inclusionFolds(index, 1_000), 1_000);
  expect(reads).toEqual([]);
  await fold(inclusionFolds(700, 1_010), 1_010);
  expect(reads).toEqual([[{ level: 0, start: 1_000, count: 10 }]]);
});

test('a tile is served in every width that it had', async () => {
  const { known, read } = stand();
  for (const width of [3, 1, 256, 17]) {
    const bytes = await known.hashes({ level: 0, index: 2, width }, 1_000, (ranges) => read(ranges, 1_000));
    expect(Buffer.from(bytes)).toEqual(Buffer.concat(levels[0]!.slice(512, 512 + width)));
  }
});

test('two that read the same tile at once do it no harm', async () => {
  const { fold } = stand();
  const sizes = [900, 1_000, 950, 1_010, 905];
  const roots = await Promise.all(sizes.map((size) => fold([rootFold(size)], size)));
  for (const [i, size] of sizes.entries()) {
    const alone = await stand().fold([rootFold(size)], size);
    expect(Buffer.from(roots[i]![0]!)).toEqual(Buffer.from(alone[0]!));
  }
});
