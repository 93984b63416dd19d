import { insertKeyEntry, type NewKeyEntry } from './log-keys.ts';
import { LOG_LOCK, LogStoreError } from './log-state.ts';
import { withTransaction, type Pool, type Queryable, type Transaction } from './pool.ts';

/** A log that is read and never signed again. */
export interface ClosedLog {
  logId: string;
  origin: string;
  closedAt: Date;
  /** Entries that are shown. */
  size: number;
}

/** The logs that were closed, the last first. */
export async function listClosedLogs(db: Queryable): Promise<ClosedLog[]> {
  const { rows } = await db.query<ClosedLog>(
    `select log_id as "logId", origin, closed_at as "closedAt", published as size from log_state
     where closed_at is not null order by closed_at desc`,
  );
  return rows;
}

/** Verifier keys with which closed logs were signed: none of them may sign another log. */
export async function readClosedVkeys(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ vkey: string }>(
    `select vkey from log_state where closed_at is not null and vkey is not null
     union
     select k.vkey from key_entries k join log_state s using (log_id) where s.closed_at is not null and k.vkey is not null`,
  );
  return rows.map(({ vkey }) => vkey);
}

export interface Succession {
  logId: string;
  next: { logId: string; origin: string; root: Uint8Array };
  /** The start of the next log's first receipt key, its entry 0. */
  start: NewKeyEntry;
}

export interface Closed {
  /** Entries that were pending and go into the next log. */
  moved: number;
  /** Entries that were pending under other receipt keys: nobody can vouch for them in the next log. */
  left: number;
  /** Entries beyond the last checkpoint that is shown: they go into the next log once more. */
  carried: number;
  /** Those of them under other receipt keys: nothing proves them, in no log. */
  unproven: readonly UnprovenEntry[];
}

export interface UnprovenEntry {
  index: number;
  subjectKind: string;
  subjectId: string;
}

/** Closes the log that grows and makes the one that follows it. What is pending moves, as far as its key does. */
export async function closeLog(pool: Pool, { logId, next, start }: Succession): Promise<Closed> {
  return withTransaction(pool, async (tx) => {
    await tx.query('select pg_advisory_xact_lock($1)', [LOG_LOCK]);
    // The locks of `refuse_ended_keys`: what is under way becomes pending first, what comes later is refused.
    await tx.query(
      `select pg_advisory_xact_lock(hashtextextended('beacon key ' || $1 || ' ' || key_id, 0))
       from (select distinct key_id from key_entries where log_id = $1 order by key_id) k`,
      [logId],
    );
    const closed = await tx.query(
      'update log_state set closed_at = now() where log_id = $1 and closed_at is null',
      [logId],
    );
    if (closed.rowCount !== 1) throw new LogStoreError('not_open', 'the log was closed before');
    await tx.query('insert into log_state (log_id, origin, root) values ($1, $2, $3)', [
      next.logId,
      next.origin,
      next.root,
    ]);
    await insertKeyEntry(tx, next.logId, start);
    const carried = await carryOver(tx, logId, next.logId, start.keyId);
    const unproven = await listUnproven(tx, logId, start.keyId);
    const moved = await tx.query(
      `update log_pending set log_id = $2
       where log_id = $1 and key_id = $3 and subject_kind <> 'key' and refused is null`,
      [logId, next.logId, start.keyId],
    );
    const left = await tx.query(
      `update log_pending set refused = 'its log was closed' where log_id = $1 and refused is null`,
      [logId],
    );
    return { moved: moved.rowCount ?? 0, left: left.rowCount ?? 0, carried, unproven };
  });
}

/** SQL: what stands in log `$1` beyond what is shown of it, and is about something. */
const BEYOND = `e.log_id = $1 and e.idx >= (select published from log_state where log_id = $1) and e.subject_kind <> 'key'`;

/** What no checkpoint covers was never shown to anybody, so it may stand in the next log as if it were new. */
async function carryOver(tx: Transaction, logId: string, next: string, keyId: string): Promise<number> {
  const { rowCount } = await tx.query(
    `insert into log_pending (log_id, subject_kind, subject_id, version, leaf, key_id, cid, job_id, execution_id, owner, visibility)
     select $2, e.subject_kind, e.subject_id, e.version, e.leaf, e.key_id, e.cid, e.job_id, e.execution_id, j.owner,
            coalesce(j.visibility, x.visibility, 'public')
     from log_entries e
     left join executions x on x.id = e.execution_id left join jobs j on j.id = coalesce(e.job_id, x.job_id)
     where ${BEYOND} and e.key_id = $3 order by e.idx`,
    [logId, next, keyId],
  );
  return rowCount ?? 0;
}

async function listUnproven(tx: Transaction, logId: string, keyId: string): Promise<UnprovenEntry[]> {
  const { rows } = await tx.query<UnprovenEntry>(
    `select e.idx as index, e.subject_kind as "subjectKind", e.subject_id as "subjectId"
     from log_entries e where ${BEYOND} and e.key_id <> $2 order by e.idx`,
    [logId, keyId],
  );
  return rows;
}

/** The closed log that holds an entry with this mark. */
export async function findClosedLogOf(
  db: Queryable,
  { executionId, cid, jobId }: { executionId?: string; cid?: string; jobId?: string },
): Promise<string | undefined> {
  const { rows } = await db.query<{ logId: string }>(
    `select s.log_id as "logId" from log_state s
     where s.closed_at is not null
       -- What was erased since has its newest entry in the log that grows.
       and not exists (
         select from log_state o join log_entries e on e.log_id = o.log_id
         where o.closed_at is null and e.subject_kind = 'erasure' and e.subject_id = $1::uuid::text)
       and not exists (
         select from log_state o join log_pending p on p.log_id = o.log_id
         where o.closed_at is null and p.subject_kind = 'erasure' and p.subject_id = $1::uuid::text)
       and (
       exists (select from log_entries e where e.log_id = s.log_id and e.idx < s.published and e.execution_id = $1)
       or exists (select from log_entries e where e.log_id = s.log_id and e.idx < s.published and e.cid = $2)
       or exists (select from log_entries e where e.log_id = s.log_id and e.idx < s.published
                  and e.subject_kind = 'job' and e.subject_id = $3))
     order by s.closed_at desc limit 1`,
    [executionId ?? null, cid ?? null, jobId ?? null],
  );
  return rows[0]?.logId;
}
