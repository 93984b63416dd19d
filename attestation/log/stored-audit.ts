import { equalBytes } from '../../domain/encoding.ts';
import type { Findings } from '../../domain/log/audit/finding.ts';
import { readHead, type RememberedHead } from '../../domain/log/audit/head.ts';
import { createTreeAudit, type ExpectedRoot } from '../../domain/log/audit/tree-audit.ts';
import type { Frontier } from '../../domain/log/frontier.ts';
import { treeHash } from '../../domain/log/hash.ts';
import { TILE_WIDTH } from '../../domain/log/tile.ts';
import type { NoteKey } from '../../domain/log/vkey.ts';
import { readAuditedCheckpoints, readAuditTarget, type AuditTarget } from '../../store/log-audit.ts';
import type { Pool } from '../../store/pool.ts';
import { nodeSha256, nodeVerifiers } from '../keys/node-verifiers.ts';
import { createStoredLog } from './stored-log.ts';

export interface StoredAuditOptions {
  pool: Pool;
  logId: string;
  /** The log's own keys: a checkpoint must be signed by one of them. */
  keys(): Promise<readonly NoteKey[]>;
  findings: Findings;
  /** A head that the log must continue. */
  remembered?: RememberedHead | undefined;
  /** Where an earlier audit stopped. */
  from?: Frontier | undefined;
}

export interface StoredAudit {
  /** Goes on by one group of entries; true at the newest checkpoint, or where nothing more can be said. */
  next(): Promise<boolean>;
  /** Entries that were looked at in complete groups. */
  readonly edge: Frontier;
  /** The head that was reached last. */
  readonly reached: RememberedHead | undefined;
  /** Entries under the head that it goes to. */
  readonly goal: number;
}

const hash = treeHash(nodeSha256);

/** Audits the log that stands in our own tables: tree, tiles, every checkpoint that is kept, and the head. */
export function createStoredAudit({
  pool,
  logId,
  keys,
  findings,
  remembered,
  from,
}: StoredAuditOptions): StoredAudit {
  const source = createStoredLog(pool, logId);
  const tree = createTreeAudit({ source, hash, findings, ...(from === undefined ? {} : { from }) });
  let reached = remembered;
  let goal: RememberedHead | undefined;
  let known: readonly NoteKey[] = [];

  /** The roots that must come out within the next group. */
  async function expectedBelow(size: number): Promise<ExpectedRoot[]> {
    const start = tree.edge.size;
    const rows = await readAuditedCheckpoints(pool, logId, start, Math.min(start + TILE_WIDTH, size));
    const expected = rows.flatMap(({ size: at, root, note }): ExpectedRoot[] => {
      const where = `checkpoint ${at}`;
      const signed = readHead(note, known, nodeVerifiers, findings, where);
      if (signed === undefined) return [];
      if (signed.size !== at || !equalBytes(signed.root, root))
        findings.add('checkpoint_altered', where, `its note is of ${signed.size} entries or of another root`);
      return [{ size: signed.size, root: signed.root, code: 'root_mismatch', where }];
    });
    if (reached !== undefined)
      expected.push({ ...reached, code: 'log_forked', where: `checkpoint ${reached.size}` });
    return expected;
  }

  return {
    get edge() {
      return tree.edge;
    },
    get reached() {
      return reached;
    },
    get goal() {
      return goal?.size ?? reached?.size ?? 0;
    },
    async next() {
      if (goal === undefined) {
        known = await keys();
        goal = readStoredHead(await readAuditTarget(pool, logId), known, findings);
        if (goal === undefined) return true;
        if (reached !== undefined && goal.size < reached.size) {
          const reason = `the log holds ${goal.size} entries, but ${reached.size} were there before`;
          findings.add('log_rewound', `checkpoint ${goal.size}`, reason);
          goal = undefined;
          return true;
        }
      }
      const expected = await expectedBelow(goal.size);
      const where = `checkpoint ${goal.size}`;
      const done = await tree.next({ ...goal, code: 'root_mismatch', where }, expected);
      if (done) {
        reached = goal;
        goal = undefined;
      }
      return done || tree.stuck;
    },
  };
}

/** The head as far as it can be believed without the entries: the log signed it, and all that is stored of it agrees. */
function readStoredHead(
  target: AuditTarget | undefined,
  keys: readonly NoteKey[],
  findings: Findings,
): RememberedHead | undefined {
  if (target === undefined) {
    findings.add('checkpoint_altered', 'head', 'the head of the log is missing');
    return undefined;
  }
  const { origin, published, checkpointSize: size, checkpointRoot: root, note } = target;
  if (size === null || root === null || note === null) {
    if (published === 0) return { origin, size: 0, root: hash.empty() };
    findings.add('checkpoint_altered', 'head', 'the log shows entries and has no checkpoint');
    return undefined;
  }
  const where = `checkpoint ${size}`;
  if (size !== published)
    findings.add('checkpoint_altered', where, `it is the newest, but ${published} entries are shown`);
  const signed = readHead(note, keys, nodeVerifiers, findings, where);
  if (signed === undefined) return undefined;
  if (signed.size !== size || !equalBytes(signed.root, root))
    findings.add('checkpoint_altered', where, `its note is of ${signed.size} entries or of another root`);
  if (signed.size > target.size || (signed.size === target.size && !equalBytes(signed.root, target.root)))
    findings.add('root_mismatch', 'head', `the head of ${target.size} entries is not that of ${where}`);
  return signed;
}
