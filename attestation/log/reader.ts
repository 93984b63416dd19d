import { treeHash } from '../../domain/log/hash.ts';
import { inclusionDirections } from '../../domain/log/proof.ts';
import {
  encodeEntryBundle,
  rangeOfNode,
  subtreeRoot,
  TILE_WIDTH,
  tileExists,
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
import type { Pool } from '../../store/pool.ts';
import { nodeSha256 } from '../keys/node-verifiers.ts';
import { LogServiceError } from './error.ts';

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
  /** The bytes of a tile or entry bundle, partial ones of any width included; undefined when it is not there. */
  tile(tile: Tile): Promise<Uint8Array | undefined>;
}

const hash = treeHash(nodeSha256);

export function createLogReader(pool: Pool, logId: string): LogReader {
  const readNodes = async (nodes: readonly Node[]) => {
    const ranges = await readHashes(pool, logId, nodes.map(rangeOfNode));
    return ranges.map((hashes) => subtreeRoot(hashes, hash));
  };
  const fold = (folds: readonly Fold[]) => readFolds(folds, hash, readNodes);

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
    consistencyProof: (from, to) => fold(consistencyFolds(from, to)),
    rootAt: async (size) => (await fold([rootFold(size)]))[0]!,
    async tile(tile) {
      const newest = await readNewestCheckpoint(pool, logId);
      if (newest === undefined || !tileExists(tile, newest.size)) return undefined;
      const start = tile.index * TILE_WIDTH;
      if (tile.level === 'entries') {
        const leaves = await readLeaves(pool, logId, start, tile.width);
        // A hole must not shift what stands behind it.
        if (leaves.length < tile.width) {
          throw new LogDamagedError(`entries ${start}..${start + tile.width} are not all there`);
        }
        return encodeEntryBundle(leaves);
      }
      return (await readHashes(pool, logId, [{ level: tile.level, start, count: tile.width }]))[0];
    },
  };
  return reader;
}

async function proveSome(
  indexes: readonly number[],
  size: number,
  fold: (folds: readonly Fold[]) => Promise<Uint8Array[]>,
): Promise<Uint8Array[][]> {
  const beyond = indexes.find((index) => index >= size);
  if (beyond !== undefined)
    throw new LogServiceError('not_in_log', `entry ${beyond} is not among the first ${size}`);
  const folds = indexes.map((index) => inclusionFolds(index, size));
  // Neighbours share most of their path: each range is read once.
  const distinct = new Map(folds.flat().map((nodes) => [keyOf(nodes), nodes]));
  const hashes = await fold([...distinct.values()]);
  const byKey = new Map([...distinct.keys()].map((key, i) => [key, hashes[i]!]));
  return folds.map((of) => of.map((nodes) => byKey.get(keyOf(nodes))!));
}

function keyOf(nodes: Fold): string {
  return nodes.map(({ level, index }) => `${level}/${index}`).join(' ');
}
