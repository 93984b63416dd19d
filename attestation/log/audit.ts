/**
 * The self-audit: builds the tree again from the entries and compares every step with what is stored. A round is
 *   tail   what came since the last round, up to the newest checkpoint; the first time and after a fault everything
 *   again  a stretch of the log from its start on, in one round after the other, so that old entries are looked at too
 * A page is small, because sequencer and audit share a process.
 */
import { equalBytes } from '../../domain/encoding.ts';
import { openCheckpoint } from '../../domain/log/checkpoint.ts';
import { LogError } from '../../domain/log/error.ts';
import { Frontier } from '../../domain/log/frontier.ts';
import { treeHash } from '../../domain/log/hash.ts';
import type { NoteKey } from '../../domain/log/vkey.ts';
import {
  readAuditedEntries,
  readAuditTarget,
  readFullTiles,
  type AuditTarget,
} from '../../store/log-audit.ts';
import type { Pool } from '../../store/pool.ts';
import { nodeSha256, nodeVerifiers } from '../keys/node-verifiers.ts';
import { LogServiceError } from './error.ts';

/** About ten milliseconds of hashing. */
const PAGE_ENTRIES = 1_024;
/** Pages of the second part in one round: at one round every five minutes a million entries come by in four hours. */
const PAGES_AGAIN = 20;

export interface LogAuditOptions {
  pool: Pool;
  logId: string;
  /** The log's own keys: a checkpoint must be signed by one of them. */
  keys(): Promise<readonly NoteKey[]>;
  pageEntries?: number;
}

export type AuditStep =
  /** Nothing to say yet, or the round goes on. */
  | { kind: 'more' }
  /** All that was not audited yet holds; the round goes on. */
  | { kind: 'holds'; size: number }
  | { kind: 'broken'; size: number; reason: string }
  /** The round is over. */
  | { kind: 'rest' };

export interface LogAudit {
  /** Audits one page. Rejects only when the database does not answer; the same page is audited next then. */
  next(): Promise<AuditStep>;
}

const hash = treeHash(nodeSha256);

export function createLogAudit(options: LogAuditOptions): LogAudit {
  let tail = createWalk(options);
  let again = createWalk(options);
  let part: 'tail' | 'again' = 'tail';
  let pagesAgain = 0;

  async function page(): Promise<AuditStep> {
    if (part === 'tail') {
      if (!(await tail.page())) return { kind: 'more' };
      part = 'again';
      pagesAgain = 0;
      return { kind: 'holds', size: tail.size() };
    }
    const ended = await again.page();
    if (ended) again = createWalk(options);
    pagesAgain += 1;
    if (!ended && pagesAgain < PAGES_AGAIN) return { kind: 'more' };
    part = 'tail';
    return { kind: 'rest' };
  }

  return {
    async next() {
      try {
        return await page();
      } catch (error) {
        if (!(error instanceof LogServiceError)) throw error;
        const size = (part === 'tail' ? tail : again).size();
        // It counts as whole again only after all of it was seen whole.
        tail = createWalk(options);
        again = createWalk(options);
        part = 'tail';
        return { kind: 'broken', size, reason: error.message };
      }
    },
  };
}

interface Walk {
  /** Goes on by one page; true at the checkpoint that was the newest when this stretch began. */
  page(): Promise<boolean>;
  /** Entries that held. */
  size(): number;
}

function createWalk({ pool, logId, keys, pageEntries = PAGE_ENTRIES }: LogAuditOptions): Walk {
  let frontier = Frontier.empty(hash);
  let goal: { size: number; root: Uint8Array } | undefined;

  async function extend(count: number): Promise<void> {
    const next = frontier.fork();
    const entries = await readAuditedEntries(pool, logId, next.size, count);
    const tiles = entries.flatMap(({ index, leaf, leafHash }) => {
      if (index !== next.size) broken(`entry ${next.size} is missing`);
      const computed = hash.leaf(leaf);
      if (!equalBytes(computed, leafHash)) broken(`entry ${index} does not hash to its leaf hash`);
      return next.append(computed);
    });
    if (entries.length < count) broken(`entry ${next.size} is missing`);
    const stored = await readFullTiles(pool, logId, tiles);
    for (const [i, { level, index, root, hashes }] of tiles.entries()) {
      const tile = stored[i];
      if (tile === undefined) broken(`tile ${level}/${index} is missing`);
      else if (!equalBytes(tile.hashes, hashes) || !equalBytes(tile.root, root)) {
        broken(`tile ${level}/${index} is not that of its entries`);
      }
    }
    frontier = next;
  }

  return {
    size: () => frontier.size,
    async page() {
      goal ??= checkTarget(await readAuditTarget(pool, logId), await keys());
      if (goal.size < frontier.size) {
        broken(`the log holds ${goal.size} entries, but ${frontier.size} were there before`);
      }
      await extend(Math.min(pageEntries, goal.size - frontier.size));
      if (frontier.size < goal.size) return false;
      if (!equalBytes(frontier.root(), goal.root)) {
        broken(`the first ${goal.size} entries do not lead to the root of their checkpoint`);
      }
      goal = undefined;
      return true;
    },
  };
}

/** The newest checkpoint as far as it can be believed without the entries: the log signed it, and the head agrees. */
function checkTarget(
  target: AuditTarget | undefined,
  keys: readonly NoteKey[],
): { size: number; root: Uint8Array } {
  if (target === undefined) return broken('the head of the log is missing');
  const { published, checkpointSize: size, checkpointRoot: root, note } = target;
  if (size === null || root === null || note === null) {
    return published === 0
      ? { size: 0, root: hash.empty() }
      : broken('the log shows entries and has no checkpoint');
  }
  if (size !== published) broken(`the newest checkpoint is of ${size} entries, but ${published} are shown`);
  if (size > target.size || (size === target.size && !equalBytes(root, target.root))) {
    broken(`the newest checkpoint is of ${size} entries and not that of the head of ${target.size}`);
  }
  try {
    const signed = openCheckpoint(note, keys, nodeVerifiers);
    if (signed.size !== size || !equalBytes(signed.root, root))
      broken(`the checkpoint of ${size} signs something else`);
  } catch (error) {
    if (error instanceof LogError) broken(`the checkpoint of ${size}: ${error.message}`);
    throw error;
  }
  return { size, root };
}

function broken(reason: string): never {
  throw new LogServiceError('log_inconsistent', reason);
}
