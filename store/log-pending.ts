import type { Queryable } from './pool.ts';

export interface PendingEntry {
  id: number;
  subjectKind: string;
  subjectId: string;
  version: number;
  leaf: Buffer;
  keyId: string;
  cid: string | null;
  jobId: string | null;
  executionId: string | null;
  owner: string | null;
  visibility: 'public' | 'private';
  /** Its subject stands in the log already, with this leaf or (false) another; null = it is new. */
  repeated: boolean | null;
  /** The key that signed it has ended in the log. */
  keyEnded: boolean;
}

const PENDING = `p.id, p.subject_kind as "subjectKind", p.subject_id as "subjectId", p.version, p.leaf, p.key_id as "keyId",
  p.cid, p.job_id as "jobId", p.execution_id as "executionId", p.owner, p.visibility`;

/**
 * SQL: the keys of log `$1` of which entries stand in it, with whether they ended. The first log key has no start entry. It
 * is read from the log itself with every batch: what one process believes of keys decides nothing.
 */
const STARTED = `started as materialized (
  select subject_id as key_id, bool_or(version = 2) as ended from log_entries
  where log_id = $1 and subject_kind = 'key' group by subject_id
  union all
  select s.vkey_id, false from log_state s where s.log_id = $1 and s.vkey_id is not null and not exists (
    select from log_entries e where e.log_id = $1 and e.subject_kind = 'key' and e.subject_id = s.vkey_id)
)`;

/** The next pending entries in the order of their ids, of keys that have started in the log. */
export async function readPending(db: Queryable, logId: string, limit: number): Promise<PendingEntry[]> {
  const { rows } = await db.query<PendingEntry>(
    `with ${STARTED}
     select ${PENDING}, k.ended as "keyEnded",
            (select e.leaf = p.leaf from log_entries e
             where e.log_id = p.log_id and e.subject_kind = p.subject_kind and e.subject_id = p.subject_id
               and e.version = p.version) as repeated
     from log_pending p join started k on k.key_id = p.key_id
     where p.log_id = $1 and p.refused is null
     order by p.id limit $2`,
    [logId, limit],
  );
  return rows;
}

/** The start of the log's first receipt key, which is entry 0. */
export async function readFirstKey(db: Queryable, logId: string): Promise<PendingEntry | undefined> {
  const { rows } = await db.query<PendingEntry>(
    `select ${PENDING}, false as "keyEnded", null as repeated from log_pending p
     where p.log_id = $1 and p.subject_kind = 'key' and p.version = 1 and p.key_id = p.subject_id and p.refused is null
     order by p.id limit 1`,
    [logId],
  );
  return rows[0];
}

/** Pending entries that wait for a key which has not started: they stay, and somebody should know. */
export async function countWaitingForKey(db: Queryable, logId: string): Promise<number> {
  const { rows } = await db.query<{ waiting: number }>(
    `with ${STARTED}
     select count(*)::int as waiting from log_pending p
     where p.log_id = $1 and p.refused is null and not exists (select from started k where k.key_id = p.key_id)`,
    [logId],
  );
  return rows[0]!.waiting;
}

/** Clears away what is in the log already. */
export async function dropPending(db: Queryable, ids: readonly number[]): Promise<void> {
  await db.query('delete from log_pending where id = any($1::bigint[])', [ids]);
}

/** Marks what will never be an entry, with the reason. */
export async function refusePending(db: Queryable, ids: readonly number[], reason: string): Promise<void> {
  await db.query('update log_pending set refused = $2 where id = any($1::bigint[])', [ids, reason]);
}
