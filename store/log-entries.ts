import { PUBLISHED } from './log-state.ts';
import type { Queryable } from './pool.ts';

export interface LogEntry {
  index: number;
  subjectKind: string;
  subjectId: string;
  version: number;
  leaf: Buffer;
  leafHash: Buffer;
  keyId: string;
  /** Of the receipt or summary that the entry is about. */
  cid: string | null;
  jobId: string | null;
  executionId: string | null;
  appendedAt: Date;
}

const ENTRY = `idx as index, subject_kind as "subjectKind", subject_id as "subjectId", version, leaf,
  leaf_hash as "leafHash", key_id as "keyId", cid, job_id as "jobId", execution_id as "executionId",
  appended_at as "appendedAt"`;

/** How an entry is looked up; all that are given must agree. */
export interface EntryQuery {
  index?: number;
  executionId?: string;
  cid?: string;
}

export async function findEntry(
  db: Queryable,
  logId: string,
  { index, executionId, cid }: EntryQuery,
): Promise<LogEntry | undefined> {
  const { rows } = await db.query<LogEntry>(
    `select ${ENTRY} from log_entries
     where log_id = $1 and idx < ${PUBLISHED} and ($2::bigint is null or idx = $2) and ($3::uuid is null or execution_id = $3)
       and ($4::text is null or cid = $4) and num_nonnulls($2, $3, $4) > 0
     order by idx desc limit 1`,
    [logId, index ?? null, executionId ?? null, cid ?? null],
  );
  return rows[0];
}

/** Whether an entry with these marks waits to be appended, or to be shown. */
export async function isPending(
  db: Queryable,
  logId: string,
  { executionId, cid }: Omit<EntryQuery, 'index'>,
): Promise<boolean> {
  const { rowCount } = await db.query(
    `select from (
       select execution_id, cid from log_pending where log_id = $1
       union all
       select execution_id, cid from log_entries where log_id = $1 and idx >= ${PUBLISHED}
     ) waiting
     where ($2::uuid is null or execution_id = $2) and ($3::text is null or cid = $3) and num_nonnulls($2, $3) > 0
     limit 1`,
    [logId, executionId ?? null, cid ?? null],
  );
  return rowCount === 1;
}

/** The leaves of `count` entries from `start` on, for an entry bundle. */
export async function readLeaves(
  db: Queryable,
  logId: string,
  start: number,
  count: number,
): Promise<Buffer[]> {
  const { rows } = await db.query<{ leaf: Buffer }>(
    'select leaf from log_entries where log_id = $1 and idx >= $2 and idx < $3 order by idx',
    [logId, start, start + count],
  );
  return rows.map((row) => row.leaf);
}

/** What entries are about, as `/entries` asks: exactly one. */
export type EntriesOf = { executionId: string } | { jobId: string } | { cid: string };

/**
 * Every entry about one execution, job or CID among the first `size`, from index `from` on. Those of a job are found by its
 * executions and its own name, so that appending needs no index for it.
 */
export async function listEntries(
  db: Queryable,
  logId: string,
  of: EntriesOf,
  { size, from, limit }: { size: number; from: number; limit: number },
): Promise<LogEntry[]> {
  const columns = `select ${ENTRY} from log_entries`;
  const bounds = 'log_id = $1 and idx < least($3, ' + PUBLISHED + ') and idx >= $4';
  const [text, subject] =
    'executionId' in of
      ? [`${columns} where execution_id = $2::uuid and ${bounds}`, of.executionId]
      : 'cid' in of
        ? [`${columns} where cid = $2 and ${bounds}`, of.cid]
        : [
            `${columns} where execution_id in (select id from executions where job_id = $2) and ${bounds}
             union ${columns} where subject_kind in ('job', 'report') and subject_id = $2 and ${bounds}`,
            of.jobId,
          ];
  const { rows } = await db.query<LogEntry>(`${text} order by index limit $5`, [
    logId,
    subject,
    size,
    from,
    limit,
  ]);
  return rows;
}
