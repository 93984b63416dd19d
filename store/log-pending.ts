import { prepared, type Queryable } from './pool.ts';

export interface PendingEntry {
  id: number;
  subjectKind: string;
  subjectId: string;
  version: number;
  /** Of its leaf, as RFC 6962 has it: the leaf itself need not leave the database for it. */
  leafHash: Buffer;
  keyId: string;
  jobId: string | null;
  /** Its subject stands in the log already, with this leaf or (false) another; null = it is new. */
  repeated: boolean | null;
  /** The key that signed it has ended in the log. */
  keyEnded: boolean;
}

const PENDING = `p.id, p.subject_kind as "subjectKind", p.subject_id as "subjectId", p.version, p.key_id as "keyId",
  p.job_id as "jobId"`;

const nextPending = prepared(
  'next pending',
  `select ${PENDING}, p.leaf_hash as "leafHash", p.repeated, p.key_ended as "keyEnded"
   from next_pending($1, $2, $3) p`,
);

/** The next pending entries after an id in the order of their ids, of keys that have started in the log. */
export async function readPending(
  db: Queryable,
  logId: string,
  limit: number,
  after = 0,
): Promise<PendingEntry[]> {
  return (await db.query<PendingEntry>(nextPending([logId, after, limit]))).rows;
}

/** The start of the log's first receipt key, which is entry 0. */
export async function readFirstKey(db: Queryable, logId: string): Promise<PendingEntry | undefined> {
  const { rows } = await db.query<PendingEntry>(
    `select ${PENDING}, sha256('\\x00'::bytea || p.leaf) as "leafHash", false as "keyEnded", null as repeated from log_pending p
     where p.log_id = $1 and p.subject_kind = 'key' and p.version = 1 and p.key_id = p.subject_id and p.refused is null
     order by p.id limit 1`,
    [logId],
  );
  return rows[0];
}

/** Pending entries that wait for a key which has not started: they stay, and somebody should know. */
export async function countWaitingForKey(db: Queryable, logId: string): Promise<number> {
  const { rows } = await db.query<{ waiting: number }>(
    `select count(*)::int as waiting from log_pending p
     where p.log_id = $1 and p.refused is null and not exists (
       select from log_entries e where e.log_id = $1 and e.subject_kind = 'key' and e.subject_id = p.key_id
       union all
       select from log_state s where s.log_id = $1 and s.vkey_id = p.key_id)`,
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
