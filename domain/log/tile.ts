import { LogError } from './error.ts';
import type { TreeHash } from './hash.ts';
import { foldHashes, type Node } from './tree.ts';
import { HASH_BYTES } from './hash.ts';

/**
 * Tiles of C2SP tlog-tiles v0.1.0: a tile at level L holds 256 consecutive hashes of tree level 8·L; a partial one holds
 * its first `width` hashes. Entry bundles are the tiles of the entries themselves.
 */
export const TILE_HEIGHT = 8;
export const TILE_WIDTH = 256;
/** tlog-tiles bounds L at 63; trees below 2^53 leaves end far below. */
const MAX_TILE_LEVEL = 63;

export interface Tile {
  level: number | 'entries';
  index: number;
  /** 1..256; 256 is a full tile. */
  width: number;
}

/** Hashes `start … start + count` of tile level `level`: what lies in one tile and is read at once. */
export interface HashRange {
  level: number;
  start: number;
  count: number;
}

/** How many hashes stand in tile level `level` (0 = leaves) of a tree of `size`. */
function tileLevelHashes(level: number | 'entries', size: number): number {
  return Math.floor(size / TILE_WIDTH ** (level === 'entries' ? 0 : level));
}

/** Path below the log's prefix, as `tile/1/x001/x234/067.p/5`. */
export function tilePath({ level, index, width }: Tile): string {
  const groups = [String(index % 1000).padStart(3, '0')];
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    groups.unshift(`x${String(rest % 1000).padStart(3, '0')}`);
  }
  return `tile/${level}/${groups.join('/')}${width === TILE_WIDTH ? '' : `.p/${width}`}`;
}

const TILE_PATH = /^tile\/(entries|0|[1-9]\d?)\/((?:x\d{3}\/)*)(\d{3})(?:\.p\/([1-9]\d{0,2}))?$/;

/** The tile that a path names, or undefined; only the one spelling that `tilePath` writes is accepted. */
export function parseTilePath(path: string): Tile | undefined {
  const match = TILE_PATH.exec(path);
  if (match === null) return undefined;
  const [, levelText, high, low, widthText] = match;
  const level = levelText === 'entries' ? 'entries' : Number(levelText);
  if (level !== 'entries' && level > MAX_TILE_LEVEL) return undefined;
  const index = Number(high!.replace(/[x/]/g, '') + low!);
  const width = widthText === undefined ? TILE_WIDTH : Number(widthText);
  if (!Number.isSafeInteger(index) || (widthText !== undefined && width >= TILE_WIDTH)) return undefined;
  const tile: Tile = { level, index, width };
  return tilePath(tile) === path ? tile : undefined;
}

/**
 * Whether a log of `size` leaves serves this tile: a full one once it is full, a partial one of every width that some
 * size up to this one had, which is any width below what is there now.
 */
export function tileExists({ level, index, width }: Tile, size: number): boolean {
  return index * TILE_WIDTH + width <= tileLevelHashes(level, size);
}

/** The hashes below `node` in its tile: one when the node's own level is a tile level, up to 128 otherwise. */
export function rangeOfNode({ level, index }: Node): HashRange {
  const inTile = level % TILE_HEIGHT;
  const count = 2 ** inTile;
  return { level: (level - inTile) / TILE_HEIGHT, start: index * count, count };
}

/** The hash of the complete subtree over the hashes of one range (their number is a power of two). */
export function subtreeRoot(hashes: Uint8Array, hash: TreeHash): Uint8Array {
  let row = splitHashes(hashes);
  while (row.length > 1) {
    const above: Uint8Array[] = [];
    for (let i = 0; i + 1 < row.length; i += 2) above.push(hash.node(row[i]!, row[i + 1]!));
    row = above;
  }
  return foldHashes(row, hash);
}

export function splitHashes(hashes: Uint8Array): Uint8Array[] {
  return Array.from({ length: hashes.length / HASH_BYTES }, (_, i) =>
    hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES),
  );
}

const MAX_ENTRY_BYTES = 65_535;

/** Big-endian uint16 length before each entry. */
export function encodeEntryBundle(entries: readonly Uint8Array[]): Uint8Array {
  const bundle = new Uint8Array(entries.reduce((length, entry) => length + 2 + entry.length, 0));
  const view = new DataView(bundle.buffer);
  let at = 0;
  for (const entry of entries) {
    if (entry.length > MAX_ENTRY_BYTES)
      throw new LogError('bundle_malformed', 'an entry exceeds 65,535 bytes');
    view.setUint16(at, entry.length);
    bundle.set(entry, at + 2);
    at += 2 + entry.length;
  }
  return bundle;
}

export function decodeEntryBundle(bundle: Uint8Array): Uint8Array[] {
  const view = new DataView(bundle.buffer, bundle.byteOffset, bundle.byteLength);
  const entries: Uint8Array[] = [];
  for (let at = 0; at < bundle.length;) {
    const length = at + 2 <= bundle.length ? view.getUint16(at) : MAX_ENTRY_BYTES;
    if (at + 2 + length > bundle.length) throw new LogError('bundle_malformed', 'the last entry is cut off');
    entries.push(bundle.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  if (entries.length > TILE_WIDTH) throw new LogError('bundle_malformed', 'more than 256 entries');
  return entries;
}
