import type { FullTile } from '../domain/log/frontier.ts';
import type { Pool, Queryable, Transaction } from './pool.ts';
import { withTransaction } from './pool.ts';

/** Key of the advisory lock under which the log and its first receipt key are made; any constant will do. */
const LOG_LOCK = 7_235_091_450;

export type LogStoreErrorCode =
  'fsync_off' | 'head_moved' | 'batch_incomplete' | 'vkey_differs' | 'several_logs';

export class LogStoreError extends Error {
  override readonly name = 'LogStoreError';
  readonly code: LogStoreErrorCode;
  constructor(code: LogStoreErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** The head of the log: what the next batch is appended to. */
export interface LogHead {
  logId: string;
  origin: string;
  size: number;
  root: Uint8Array;
  /** Null until the sequencer first started. */
  vkey: string | null;
}

const HEAD = 'log_id as "logId", origin, size, root, vkey';

/** The one log of this database, if it was made. */
export async function findLog(db: Queryable): Promise<LogHead | undefined> {
  const { rows } = await db.query<LogHead>(`select ${HEAD} from log_state limit 2`);
  if (rows.length > 1) throw new LogStoreError('several_logs', 'this version keeps one log in a database');
  return rows[0];
}

/** Makes the log unless there is one; either way answers the one there is. */
export async function createLog(
  pool: Pool,
  log: { logId: string; origin: string; root: Uint8Array },
): Promise<LogHead> {
  return withTransaction(pool, async (tx) => {
    await tx.query('select pg_advisory_xact_lock($1)', [LOG_LOCK]);
    const known = await findLog(tx);
    if (known !== undefined) return known;
    await tx.query('insert into log_state (log_id, origin, root) values ($1, $2, $3)', [
      log.logId,
      log.origin,
      log.root,
    ]);
    return { ...log, size: 0, vkey: null };
  });
}

export interface KeyStart {
  keyId: string;
  spki: Uint8Array;
  dsse: Uint8Array;
  dsseDigest: Uint8Array;
  dsseCid: string;
  leaf: Uint8Array;
}

/**
 * Makes `key` the log's receipt key when it has none: its start entry is pending and becomes entry 0. Answers the id of
 * the key that the log has, which is another one when `key` came second.
 */
export async function startReceiptKey(pool: Pool, logId: string, key: KeyStart): Promise<string> {
  return withTransaction(pool, async (tx) => {
    await tx.query('select pg_advisory_xact_lock($1)', [LOG_LOCK]);
    const { rows } = await tx.query<{ subject_id: string }>(
      `select subject_id from log_entries where log_id = $1 and subject_kind = 'key'
       union select subject_id from log_pending where log_id = $1 and subject_kind = 'key'`,
      [logId],
    );
    const known = rows.map((row) => row.subject_id);
    if (known.length > 0) return known.find((id) => id === key.keyId) ?? known[0]!;
    await tx.query('insert into blocks (digest, bytes) values ($1, $2) on conflict do nothing', [
      key.dsseDigest,
      key.dsse,
    ]);
    await tx.query(
      `insert into receipt_keys (key_id, spki, start_dsse_digest) values ($1, $2, $3) on conflict do nothing`,
      [key.keyId, key.spki, key.dsseDigest],
    );
    await tx.query(`insert into cids (cid, digest, kind) values ($1, $2, 'dsse') on conflict do nothing`, [
      key.dsseCid,
      key.dsseDigest,
    ]);
    await tx.query(
      `insert into log_pending (log_id, subject_kind, subject_id, version, leaf, key_id) values ($1, 'key', $2, 1, $3, $2)`,
      [logId, key.keyId, key.leaf],
    );
    return key.keyId;
  });
}

/** Fixes the log's verifier key at its first start; another one later is refused. */
export async function fixVkey(db: Queryable, logId: string, vkey: string): Promise<void> {
  const { rows } = await db.query<{ vkey: string }>(
    'update log_state set vkey = coalesce(vkey, $2) where log_id = $1 returning vkey',
    [logId, vkey],
  );
  if (rows[0]?.vkey !== vkey) {
    throw new LogStoreError(
      'vkey_differs',
      `the log is signed by ${rows[0]?.vkey ?? 'nobody'}, not by ${vkey}`,
    );
  }
}

/** A signed checkpoint must not be lost once somebody saw it, so the database has to flush what it commits. */
export async function requireDurability(db: Queryable): Promise<void> {
  const { rows } = await db.query<{ fsync: string }>('show fsync');
  if (rows[0]?.fsync !== 'on') {
    throw new LogStoreError('fsync_off', 'the database runs with fsync=off: a log on it could lose entries');
  }
}

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
            p.execution_id as "executionId", p.owner, p.visibility, e.leaf = p.leaf as repeated
     from log_pending p left join log_entries e using (log_id, subject_kind, subject_id, version)
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

export async function readStartedKeys(db: Queryable, logId: string): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `select subject_id as id from log_entries where log_id = $1 and subject_kind = 'key' order by idx`,
    [logId],
  );
  return rows.map((row) => row.id);
}

/** Pending entries that wait for a receipt key which has not started: they stay, and somebody should know. */
export async function countWaitingForKey(
  db: Queryable,
  logId: string,
  startedKeys: readonly string[],
): Promise<number> {
  const { rows } = await db.query<{ waiting: number }>(
    `select count(*)::int as waiting from log_pending
     where log_id = $1 and refused is null and (key_id <> all($2) or subject_kind = 'key')`,
    [logId, startedKeys],
  );
  return rows[0]!.waiting;
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

/** Locks the head for the rest of the transaction, whose commit is flushed whatever the session says. */
export async function lockHead(tx: Transaction, logId: string): Promise<LogHead> {
  const { rows } = await tx.query<LogHead>(
    `select ${HEAD}, set_config('synchronous_commit', 'on', true) as durable from log_state where log_id = $1 for update`,
    [logId],
  );
  return rows[0]!;
}

export interface Batch {
  logId: string;
  /** What the batch was computed on: compared again with the stored head, so that no two can follow the same one. */
  before: { size: number; root: Uint8Array };
  after: { size: number; root: Uint8Array; note: string };
  /** Pending ids in the order of their places in the log, with their leaf hashes. */
  pending: readonly { id: number; leafHash: Uint8Array }[];
  tiles: readonly FullTile[];
}

/** Appends a batch: entries, tiles that became full, checkpoint and head in one statement. Throws when the head moved. */
export async function appendBatch(tx: Transaction, batch: Batch): Promise<void> {
  const { logId, before, after, pending, tiles } = batch;
  const { rows } = await tx.query<{ entries: number; moved: number }>(
    `with batch as (
       select * from unnest($2::bigint[], $3::bytea[]) with ordinality as b (id, leaf_hash, place)
     ), taken as (
       delete from log_pending p using batch b where p.id = b.id and p.log_id = $1
       returning p.*, $4::bigint + b.place - 1 as idx, b.leaf_hash
     ), entries as (
       insert into log_entries (log_id, idx, subject_kind, subject_id, version, leaf, leaf_hash, key_id, cid, job_id, execution_id)
       select log_id, idx, subject_kind, subject_id, version, leaf, leaf_hash, key_id, cid, job_id, execution_id from taken
       returning idx
     ), tiles as (
       insert into log_tiles (log_id, level, idx, root, hashes)
       select $1, * from unnest($5::int[], $6::bigint[], $7::bytea[], $8::bytea[])
     ), signed as (
       insert into log_checkpoints (log_id, size, root, note) values ($1, $9, $10, $11)
     ), head as (
       update log_state set size = $9, root = $10, updated_at = now()
       where log_id = $1 and size = $4 and root = $12 returning size
     )
     select (select count(*)::int from entries) as entries, (select count(*)::int from head) as moved`,
    [
      logId,
      pending.map((entry) => entry.id),
      pending.map((entry) => entry.leafHash),
      before.size,
      tiles.map((tile) => tile.level),
      tiles.map((tile) => tile.index),
      tiles.map((tile) => tile.root),
      tiles.map((tile) => tile.hashes),
      after.size,
      after.root,
      after.note,
      before.root,
    ],
  );
  const { entries, moved } = rows[0]!;
  if (moved !== 1) throw new LogStoreError('head_moved', 'another sequencer moved the head of the log');
  if (entries !== pending.length) {
    throw new LogStoreError('batch_incomplete', `${entries} of ${pending.length} pending entries were there`);
  }
}
