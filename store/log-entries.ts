import { PUBLISHED } from './log-state.ts';
import { prepared, type Queryable } from './pool.ts';

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
  const marks = [
    ['idx', index],
    ['execution_id', executionId],
    ['cid', cid],
  ].filter(([, value]) => value !== undefined);
  if (marks.length === 0) return undefined;
  const { rows } = await db.query<LogEntry>({
    name: `find entry by ${marks.map(([column]) => column).join()}`,
    // The fence keeps the planner from walking down the whole log until it meets a mark that it takes for frequent.
    text: `select * from (
             select ${ENTRY} from log_entries
             where log_id = $1 and idx < ${PUBLISHED}${marks.map(([column], i) => ` and ${column} = $${i + 2}`).join('')}
             offset 0) found
           order by index desc limit 1`,
    values: [logId, ...marks.map(([, value]) => value)],
  });
  return rows[0];
}

/** An entry with what else its proof shows, and who may see that. */
export interface ProvableEntry {
  entry: LogEntry;
  /** Undefined for what belongs to no job; null where the job is not known here. */
  job: { owner: string | null; visibility: 'public' | 'private' } | null | undefined;
  /** The DSSE envelope of which the entry is the leaf; undefined where it is not stored (any more). */
  envelope: Buffer | undefined;
}

const PROVABLE_ENTRY = prepared(
  'provable entry',
  `select e.*, j.owner, j.visibility,
     case "subjectKind"
       when 'receipt' then (
         select d.bytes from receipts s join blocks d on d.digest = s.dsse_digest where s.execution_id = "subjectId"::uuid)
       when 'job' then (
         select d.bytes from job_summaries s join blocks d on d.digest = s.dsse_digest
         where s.job_id = "subjectId" and s.version = e.version)
       when 'key' then (
         select d.bytes from key_entries s join blocks d on d.digest = s.dsse_digest
         where s.log_id = $1 and s.key_id = "subjectId" and s.version = e.version and s.purpose = 'receipt')
     end as envelope
   from (select ${ENTRY} from log_entries where log_id = $1 and idx = $2 and idx < ${PUBLISHED}) e
   left join jobs j on j.id = "jobId"`,
);

/** An entry by its index, as far as it is shown. */
export async function readProvableEntry(
  db: Queryable,
  logId: string,
  index: number,
): Promise<ProvableEntry | undefined> {
  const { rows } = await db.query<
    LogEntry & { owner: string | null; visibility: 'public' | 'private' | null; envelope: Buffer | null }
  >(PROVABLE_ENTRY([logId, index]));
  const [row] = rows;
  if (row === undefined) return undefined;
  const { owner, visibility, envelope, ...entry } = row;
  const job = visibility === null ? null : { owner, visibility };
  return { entry, job: entry.jobId === null ? undefined : job, envelope: envelope ?? undefined };
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
