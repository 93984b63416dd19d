/**
 * The self-audit: builds the tree again from the entries and compares every step with what is stored, in small pages, because
 * sequencer and audit share a process. A round is
 *   tail   what came since the last round, up to the newest checkpoint; the first time and after a fault everything
 *   again  a stretch of the log from its start on, in one round after the other, so that old entries are looked at too; and
 *          beside it what the entries are about: envelopes, receipts, executions, blocks
 */
import { Findings, type Finding } from '../../domain/log/audit/finding.ts';
import type { NoteKey } from '../../domain/log/vkey.ts';
import type { Pool } from '../../store/pool.ts';
import { createRecordAudit } from './record-audit.ts';
import { createStoredAudit, type StoredAudit } from './stored-audit.ts';

/** Groups of 256 entries in a page: about ten milliseconds of hashing. */
const PAGE_GROUPS = 4;
/** Pages of the second part in one round: at one round every five minutes a million entries come by in four hours. */
const PAGES_AGAIN = 20;

export interface LogAuditOptions {
  pool: Pool;
  logId: string;
  /** The log's own keys: a checkpoint must be signed by one of them. */
  keys(): Promise<readonly NoteKey[]>;
  pageGroups?: number;
  /** Whether what the entries are about is compared too; default true. */
  records?: boolean;
}

export type AuditStep =
  /** Nothing to say yet, or the round goes on. */
  | { kind: 'more' }
  /** All that was not audited yet holds; the round goes on. */
  | { kind: 'holds'; size: number }
  | { kind: 'broken'; size: number; findings: readonly Finding[]; reason: string }
  /** The round is over. */
  | { kind: 'rest' };

export interface LogAudit {
  /** Audits one page. Rejects only when the database does not answer; the same page is audited next then. */
  next(): Promise<AuditStep>;
}

export function createLogAudit(options: LogAuditOptions): LogAudit {
  const { pool, logId, keys, pageGroups = PAGE_GROUPS, records: withRecords = true } = options;
  const begin = (suspect: boolean) => {
    const findings = new Findings();
    return {
      findings,
      tail: createStoredAudit({ pool, logId, keys, findings }),
      again: createStoredAudit({ pool, logId, keys, findings }),
      records: createRecordAudit(pool, logId, findings),
      part: 'tail' as 'tail' | 'again',
      /** After a fault the log holds only when what its entries are about was seen whole too. */
      suspect,
      tailEnded: false,
      pagesAgain: 0,
    };
  };
  let now = begin(false);

  async function tailPage(): Promise<AuditStep> {
    now.tailEnded ||= await groups(now.tail);
    if (!now.tailEnded) return { kind: 'more' };
    const size = now.tail.reached?.size ?? 0;
    if (now.suspect && withRecords && !(await records(size))) return { kind: 'more' };
    Object.assign(now, { part: 'again', suspect: false, tailEnded: false, pagesAgain: 0 });
    return { kind: 'holds', size };
  }

  async function pageAgain(): Promise<AuditStep> {
    const treeEnded = await groups(now.again);
    if (treeEnded) now.again = createStoredAudit({ pool, logId, keys, findings: now.findings });
    const recordsEnded = !withRecords || (await records(now.tail.reached?.size ?? 0));
    now.pagesAgain += 1;
    if (now.pagesAgain < PAGES_AGAIN && !(treeEnded && recordsEnded)) return { kind: 'more' };
    now.part = 'tail';
    return { kind: 'rest' };
  }

  async function groups(audit: StoredAudit): Promise<boolean> {
    for (let i = 0; i < pageGroups; i++) if (await audit.next()) return true;
    return false;
  }

  /** One page of records; true when all were looked at, and the next page begins with the first ones again. */
  async function records(size: number): Promise<boolean> {
    if (!(await now.records.next(size))) return false;
    now.records = createRecordAudit(pool, logId, now.findings);
    return true;
  }

  return {
    async next() {
      const step = await (now.part === 'tail' ? tailPage() : pageAgain());
      const { list } = now.findings;
      const [first] = list;
      if (first === undefined) return step;
      const size = (now.part === 'tail' ? now.tail : now.again).edge.size;
      now = begin(true);
      const more = list.length > 1 ? ` (and ${list.length - 1} more)` : '';
      return {
        kind: 'broken',
        size,
        findings: list,
        reason: `${first.code}: ${first.where}: ${first.reason}${more}`,
      };
    },
  };
}
