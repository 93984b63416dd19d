import { treeHash } from '../../domain/log/hash.ts';
import { inclusionDirections } from '../../domain/log/proof.ts';
import {
  encodeEntryBundle,
  rangeOfNode,
  subtreeRoot,
  TILE_WIDTH,
  tileExists,
  type HashRange,
  type Tile,
} from '../../domain/log/tile.ts';
import { formatTlogProof } from '../../domain/log/tlog-proof.ts';
import {
  consistencyFolds,
  inclusionFolds,
  readFolds,
  rootFold,
  type Fold,
  type Node,
} from '../../domain/log/tree.ts';
import { findEntry, isPending, readLeaves, type EntryQuery, type LogEntry } from '../../store/log-entries.ts';
import {
  LogDamagedError,
  readCheckpoint,
  readHashes,
  readNewestCheckpoint,
  type StoredCheckpoint,
} from '../../store/log-tiles.ts';
import type { Queryable } from '../../store/pool.ts';
import { nodeSha256 } from '../keys/node-verifiers.ts';
import { LogServiceError } from './error.ts';
import type { KnownTiles } from './known-tiles.ts';

/** Proofs of this many entries are read together; bounds the size of one query. */
const PROVED_AT_ONCE = 128;

/** An entry's place in the log under one checkpoint. */
export interface EntryProof {
  index: number;
  /** From the leaf's sibling to the root's child. */
  hashes: Uint8Array[];
  /** On which side each of them stands. */
  directions: ('left' | 'right')[];
  checkpoint: StoredCheckpoint;
  /** The same as one `c2sp.org/tlog-proof@v1` text. */
  tlogProof: string;
}

/** Everything that the log answers, read from tiles in O(log n); needs no key. */
export interface LogReader {
  readonly logId: string;
  /** Undefined before the first entry. */
  newestCheckpoint(): Promise<StoredCheckpoint | undefined>;
  /** The newest one, or the one of exactly `size`; throws `no_checkpoint`. */
  checkpoint(size?: number): Promise<StoredCheckpoint>;
  /** Proofs for several entries in the tree of the first `size`, whether or not there is a checkpoint of that size. */
  inclusionProofs(indexes: readonly number[], size: number): Promise<Uint8Array[][]>;
  /** Throws `pending` when the entry will come, `not_in_log` when it is unknown. */
  entry(query: EntryQuery): Promise<LogEntry>;
  /** Proofs for several entries under one checkpoint. Throws `not_in_log` for an index beyond it. */
  prove(indexes: readonly number[], checkpoint: StoredCheckpoint): Promise<EntryProof[]>;
  consistencyProof(from: number, to: number): Promise<Uint8Array[]>;
  rootAt(size: number): Promise<Uint8Array>;
  /**
   * The bytes of a tile or entry bundle, partial ones of any width included; undefined when it is not there. `shown`: how
   * many entries are, for who knows it already.
   */
  tile(tile: Tile, shown?: number): Promise<Uint8Array | undefined>;
}

const hash = treeHash(nodeSha256);

/** `known`: hashes that were read before are not read again, so what happens to their rows later is not noticed here. */
export function createLogReader(pool: Queryable, logId: string, known?: KnownTiles): LogReader {
  const readRanges = (ranges: readonly HashRange[]) => readHashes(pool, logId, ranges);
  const readNodes = async (nodes: readonly Node[], size: number) => {
    if (known !== undefined) return known.nodes(nodes, size, readRanges);
    const ranges = await readRanges(nodes.map(rangeOfNode));
    return ranges.map((hashes) => subtreeRoot(hashes, hash));
  };
  /** Folds of the tree of `size`. */
  const fold = (folds: readonly Fold[], size: number) =>
    readFolds(folds, hash, (nodes) => readNodes(nodes, size));

  const reader: LogReader = {
    logId,
    newestCheckpoint: () => readNewestCheckpoint(pool, logId),
    async checkpoint(size) {
      const found = await (size === undefined
        ? readNewestCheckpoint(pool, logId)
        : readCheckpoint(pool, logId, size));
      if (found !== undefined) return found;
      throw new LogServiceError(
        'no_checkpoint',
        size === undefined ? 'the log has no entry yet' : `there is no checkpoint of size ${size}`,
      );
    },
    async entry(query) {
      const entry = await findEntry(pool, logId, query);
      if (entry !== undefined) return entry;
      if (await isPending(pool, logId, query)) {
        throw new LogServiceError('pending', 'the entry is not in the log yet, but will be');
      }
      // It may have moved from one table to the other between the two looks.
      const late = await findEntry(pool, logId, query);
      if (late !== undefined) return late;
      throw new LogServiceError('not_in_log', 'the log has no such entry');
    },
    async inclusionProofs(indexes, size) {
      const proofs: Uint8Array[][] = [];
      for (let at = 0; at < indexes.length; at += PROVED_AT_ONCE) {
        proofs.push(...(await proveSome(indexes.slice(at, at + PROVED_AT_ONCE), size, fold)));
      }
      return proofs;
    },
    async prove(indexes, checkpoint) {
      const { size, note } = checkpoint;
      const proofs = await reader.inclusionProofs(indexes, size);
      return indexes.map((index, i) => {
        const hashes = proofs[i]!;
        return {
          index,
          hashes,
          directions: inclusionDirections(index, size),
          checkpoint,
          tlogProof: formatTlogProof({ index, proof: hashes, checkpoint: note }),
        };
      });
    },
    consistencyProof: (from, to) => fold(consistencyFolds(from, to), to),
    rootAt: async (size) => (await fold([rootFold(size)], size))[0]!,
    async tile(tile, shown) {
      const size = shown ?? (await readNewestCheckpoint(pool, logId))?.size ?? 0;
      if (!tileExists(tile, size)) return undefined;
      const start = tile.index * TILE_WIDTH;
      if (tile.level === 'entries') {
        const leaves = await readLeaves(pool, logId, start, tile.width);
        // A hole must not shift what stands behind it.
        if (leaves.length < tile.width) {
          throw new LogDamagedError(`entries ${start}..${start + tile.width} are not all there`);
        }
        return encodeEntryBundle(leaves);
      }
      const { level, index, width } = tile;
      if (known !== undefined) return known.hashes({ level, index, width }, size, readRanges);
      return (await readRanges([{ level, start, count: width }]))[0];
    },
  };
  return reader;
}

async function proveSome(
  indexes: readonly number[],
  size: number,
  fold: (folds: readonly Fold[], size: number) => Promise<Uint8Array[]>,
): Promise<Uint8Array[][]> {
  const beyond = indexes.find((index) => index >= size);
  if (beyond !== undefined)
    throw new LogServiceError('not_in_log', `entry ${beyond} is not among the first ${size}`);
  const folds = indexes.map((index) => inclusionFolds(index, size));
  // Neighbours share most of their path: each range is read once.
  const distinct = new Map(folds.flat().map((nodes) => [keyOf(nodes), nodes]));
  const hashes = await fold([...distinct.values()], size);
  const byKey = new Map([...distinct.keys()].map((key, i) => [key, hashes[i]!]));
  return folds.map((of) => of.map((nodes) => byKey.get(keyOf(nodes))!));
}

function keyOf(nodes: Fold): string {
  return nodes.map(({ level, index }) => `${level}/${index}`).join(' ');
}
