import type { Queryable } from './pool.ts';

export interface PendingEntry {
  id: number;
  subjectKind: string;
  subjectId: string;
  leaf: Buffer;
  cid: string | null;
  jobId: string | null;
  executionId: string | null;
  owner: string | null;
  visibility: 'public' | 'private';
  /** Its subject stands in the log already, with this leaf or (false) another; null = it is new. */
  repeated: boolean | null;
}

/** The next pending entries in the order of their ids, of receipt keys that have started. */
export async function readPending(
  db: Queryable,
  logId: string,
  startedKeys: readonly string[],
  limit: number,
): Promise<PendingEntry[]> {
  const { rows } = await db.query<PendingEntry>(
    `select p.id, p.subject_kind as "subjectKind", p.subject_id as "subjectId", p.leaf, p.cid, p.job_id as "jobId",
            p.execution_id as "executionId", p.owner, p.visibility,
            (select e.leaf = p.leaf from log_entries e
             where e.log_id = p.log_id and e.subject_kind = p.subject_kind and e.subject_id = p.subject_id
               and e.version = p.version) as repeated
     from log_pending p
     where p.log_id = $1 and p.refused is null and p.subject_kind <> 'key' and p.key_id = any($2)
     order by p.id limit $3`,
    [logId, startedKeys, limit],
  );
  return rows;
}

/** The start of the log's first receipt key, which is entry 0. */
export async function readFirstKey(db: Queryable, logId: string): Promise<PendingEntry | undefined> {
  const { rows } = await db.query<PendingEntry>(
    `select id, subject_kind as "subjectKind", subject_id as "subjectId", leaf, cid, job_id as "jobId",
            execution_id as "executionId", owner, visibility, null as repeated
     from log_pending where log_id = $1 and subject_kind = 'key' and refused is null order by id limit 1`,
    [logId],
  );
  return rows[0];
}

/** Clears away what is in the log already, and marks what contradicts it. */
export async function settleRepeated(
  db: Queryable,
  repeated: readonly number[],
  contradicting: readonly number[],
): Promise<void> {
  await db.query('delete from log_pending where id = any($1::bigint[])', [repeated]);
  await db.query(
    `update log_pending set refused = 'its subject stands in the log with another leaf' where id = any($1::bigint[])`,
    [contradicting],
  );
}
