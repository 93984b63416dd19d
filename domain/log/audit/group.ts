import { equalBytes, fromUtf8 } from '../../encoding.ts';
import type { TreeHash } from '../hash.ts';
import { splitHashes, TILE_WIDTH, tilePath } from '../tile.ts';
import type { Findings } from './finding.ts';
import { BrokenSource, type AuditedLeaf, type AuditSource } from './source.ts';

/** The leaves of one entry bundle, seen twice: hashed from the entries, and as the tile of leaf hashes has them. */
export interface Group {
  index: number;
  width: number;
  leaves: (AuditedLeaf | undefined)[];
  /** From the entries; undefined where one is missing. */
  byEntries: (Uint8Array | undefined)[];
  /** From the tile; undefined when it is missing. */
  byTile: Uint8Array[] | undefined;
  /** What is stored as the root of a full tile. */
  tileRoot: Uint8Array | undefined;
}

export async function readGroup(
  source: AuditSource,
  index: number,
  width: number,
  hash: TreeHash,
  findings: Findings,
): Promise<Group> {
  const entriesPath = tilePath({ level: 'entries', index, width });
  const path = tilePath({ level: 0, index, width });
  const [leaves, tile] = await Promise.all([
    told(source.entries(index, width), findings),
    told(source.tile(0, index, width), findings),
  ]);
  const holes = leaves?.every((leaf) => leaf === undefined) ?? false;
  if (holes) findings.add('entry_missing', entriesPath, `entries ${range(index, width)} are not there`);
  else
    for (const [i, leaf] of (leaves ?? []).entries())
      if (leaf === undefined)
        findings.add('entry_missing', `entry ${index * TILE_WIDTH + i}`, 'it is not there');
  if (tile === undefined) findings.add('tile_missing', path, 'it is not there');
  const byTile = tile === undefined ? undefined : splitHashes(tile.hashes);
  const all = leaves ?? Array.from({ length: width }, () => undefined);
  const byEntries = all.map((one) => one && hash.leaf(one.leaf));
  return { index, width, leaves: all, byEntries, byTile, tileRoot: tile?.root };
}

/** Turns what a broken source threw into a finding; undefined then. */
export async function told<T>(asked: Promise<T>, findings: Findings): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof BrokenSource)) throw error;
    findings.add(error.code, error.where, error.message);
    return undefined;
  }
}

/** The leaf hashes on which entries and tile agree, with `prefer` where they do not; undefined when neither has one. */
export function hashesOf(group: Group, prefer: 'entries' | 'tile'): Uint8Array[] | undefined {
  const hashes: Uint8Array[] = [];
  for (let i = 0; i < group.width; i++) {
    const [entry, tile] = [group.byEntries[i], group.byTile?.[i]];
    const one = prefer === 'entries' ? (entry ?? tile) : (tile ?? entry);
    if (one === undefined) return undefined;
    hashes.push(one);
  }
  return hashes;
}

/** Whether the two views of a group contradict each other. */
export function disagrees({ byEntries, byTile }: Group): boolean {
  return (
    byTile !== undefined && byEntries.some((one, i) => one !== undefined && !equalBytes(one, byTile[i]!))
  );
}

/** Names what is wrong with the entries of a group whose tile is right. */
export function blameEntries(group: Group, findings: Findings): void {
  const { index, byEntries, byTile, leaves } = group;
  if (byTile === undefined) return;
  const wrong = byEntries.flatMap((one, i) => (one !== undefined && !equalBytes(one, byTile[i]!) ? [i] : []));
  const placeOf = (hash: Uint8Array) => byTile.findIndex((known) => equalBytes(known, hash));
  const start = index * TILE_WIDTH;
  for (const i of wrong) {
    const place = placeOf(byEntries[i]!);
    const other = byEntries[place];
    if (place >= 0 && wrong.includes(place) && other !== undefined && equalBytes(other, byTile[i]!)) {
      const [first, second] = [Math.min(i, place) + start, Math.max(i, place) + start];
      findings.add(
        'entries_swapped',
        `entries ${first} and ${second}`,
        'each stands in the place of the other',
      );
    } else if (place >= 0) {
      findings.add('entry_duplicate', `entry ${start + i}`, `it repeats entry ${start + place}`);
    } else if (isCut(leaves[i]!.leaf)) {
      findings.add('entry_truncated', `entry ${start + i}`, `it ends after ${leaves[i]!.leaf.length} bytes`);
    } else {
      findings.add('entry_altered', `entry ${start + i}`, 'it does not hash to what its tile holds');
    }
  }
}

/** Names what is stored beside entries and is not theirs, and entries that stand in the log twice. */
export function checkLeaves({ index, leaves, byEntries, byTile }: Group, findings: Findings): void {
  const seen = new Map<string, number>();
  for (const [i, leaf] of leaves.entries()) {
    const computed = byEntries[i];
    if (leaf === undefined || computed === undefined) continue;
    const where = `entry ${index * TILE_WIDTH + i}`;
    const isRight = byTile === undefined || equalBytes(computed, byTile[i]!);
    if (isRight && leaf.leafHash !== undefined && !equalBytes(leaf.leafHash, computed))
      findings.add('leaf_hash_altered', where, 'the hash stored beside it is another one');
    const key = String.fromCharCode(...computed);
    const earlier = seen.get(key);
    if (isRight && earlier !== undefined)
      findings.add('entry_duplicate', where, `it repeats entry ${index * TILE_WIDTH + earlier}`);
    seen.set(key, i);
  }
}

/** An entry of ours is one JSON object: what begins like one and does not end like one was cut. */
function isCut(leaf: Uint8Array): boolean {
  const text = fromUtf8(leaf);
  return leaf.length === 0 || (text?.startsWith('{') === true && !text.endsWith('}'));
}

function range(index: number, width: number): string {
  return `${index * TILE_WIDTH}..${index * TILE_WIDTH + width - 1}`;
}
