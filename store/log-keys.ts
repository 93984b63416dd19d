import { LOG_LOCK } from './log-state.ts';
import { withTransaction, type Pool, type Queryable } from './pool.ts';

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
    const known = await readReceiptKeys(tx, logId);
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

/** Ids of the receipt keys that the log has, also of one whose entry is pending. */
export async function readReceiptKeys(db: Queryable, logId: string): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `select subject_id as id from log_entries where log_id = $1 and subject_kind = 'key'
     union select subject_id from log_pending where log_id = $1 and subject_kind = 'key'`,
    [logId],
  );
  return rows.map((row) => row.id);
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
