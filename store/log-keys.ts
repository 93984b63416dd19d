import { LOG_LOCK, LogStoreError } from './log-state.ts';
import { withTransaction, type Pool, type Queryable, type Transaction } from './pool.ts';

/** A key of a log: of its receipts, or of its checkpoints. */
export interface KeyState {
  keyId: string;
  purpose: 'receipt' | 'log';
  /** The key that vouched for it; its own id for the first of its purpose. */
  signer: string;
  /** Of a log key. */
  vkey: string | null;
  /** The first log key is what clients pin: no entry says that it starts. */
  hasStart: boolean;
  /** Where its start stands in the log; null while that is pending. */
  startIndex: number | null;
  /** Its end entry was made: nothing new becomes pending under it. */
  ending: boolean;
  /** Where its end stands in the log. */
  endIndex: number | null;
}

/** The keys of a log in the order in which they started; those whose start is pending last. */
export async function readKeys(db: Queryable, logId: string): Promise<KeyState[]> {
  const { rows } = await db.query<KeyState>(
    `select k.key_id as "keyId", k.purpose, k.signer, k.vkey, k.has_start as "hasStart", s.idx as "startIndex",
            e.key_id is not null as ending, x.idx as "endIndex"
     from (
       select key_id, purpose, signer, vkey, true as has_start, created_at from key_entries where log_id = $1 and version = 1
       union all
       select vkey_id, 'log', vkey_id, vkey, false, '-infinity' from log_state where log_id = $1 and vkey is not null
     ) k
     left join log_entries s
       on s.log_id = $1 and s.subject_kind = 'key' and s.subject_id = k.key_id and s.version = 1
     left join key_entries e on e.log_id = $1 and e.key_id = k.key_id and e.version = 2
     left join log_entries x
       on x.log_id = $1 and x.subject_kind = 'key' and x.subject_id = k.key_id and x.version = 2
     order by k.has_start, s.idx, k.created_at`,
    [logId],
  );
  return rows;
}

/** An entry `key/<keyId>/<version>`, signed and ready to be stored. */
export interface NewKeyEntry {
  keyId: string;
  /** 1: the key starts. 2: it ends. */
  version: 1 | 2;
  purpose: 'receipt' | 'log';
  signer: string;
  vkey: string | null;
  /** Of a receipt key that starts. */
  spki: Uint8Array | null;
  dsse: Uint8Array;
  dsseDigest: Uint8Array;
  dsseCid: string;
  leaf: Uint8Array;
}

/**
 * Makes a key entry pending. `refusal` looks at the log's keys, which nobody else changes meanwhile, and says why it may
 * not be. False when the entry was made before.
 */
export async function addKeyEntry(
  pool: Pool,
  logId: string,
  entry: NewKeyEntry,
  refusal: (keys: readonly KeyState[]) => string | undefined,
): Promise<boolean> {
  return withTransaction(pool, async (tx) => {
    await tx.query('select pg_advisory_xact_lock($1)', [LOG_LOCK]);
    const keys = await readKeys(tx, logId);
    const known = keys.find(({ keyId }) => keyId === entry.keyId);
    if (entry.version === 1 ? known !== undefined : known?.ending === true) return false;
    const reason = refusal(keys);
    if (reason !== undefined) throw new LogStoreError('key_refused', reason);
    // The lock of `refuse_ended_keys`: what is under way becomes pending first, what comes later is refused.
    if (entry.version === 2)
      await tx.query(`select pg_advisory_xact_lock(hashtextextended($1, 0))`, [
        `beacon key ${logId} ${entry.keyId}`,
      ]);
    await insertKeyEntry(tx, logId, entry);
    return true;
  });
}

/**
 * Makes `key` the log's first receipt key when it has none: its start entry is pending and becomes entry 0. Answers the
 * id of the first key that the log has, which is another one when `key` came second.
 */
export async function addFirstReceiptKey(pool: Pool, logId: string, entry: NewKeyEntry): Promise<string> {
  return withTransaction(pool, async (tx) => {
    await tx.query('select pg_advisory_xact_lock($1)', [LOG_LOCK]);
    const known = (await readKeys(tx, logId)).find(({ purpose }) => purpose === 'receipt');
    if (known === undefined) await insertKeyEntry(tx, logId, entry);
    return known?.keyId ?? entry.keyId;
  });
}

/** Stores a key entry with its envelope, pending. */
export async function insertKeyEntry(tx: Transaction, logId: string, entry: NewKeyEntry): Promise<void> {
  const { keyId, version, purpose, signer, vkey, spki, dsse, dsseDigest, dsseCid, leaf } = entry;
  await tx.query('insert into blocks (digest, bytes) values ($1, $2) on conflict do nothing', [
    dsseDigest,
    dsse,
  ]);
  await tx.query(`insert into cids (cid, digest, kind) values ($1, $2, 'dsse') on conflict do nothing`, [
    dsseCid,
    dsseDigest,
  ]);
  if (spki !== null)
    await tx.query('insert into receipt_keys (key_id, spki) values ($1, $2) on conflict do nothing', [
      keyId,
      spki,
    ]);
  await tx.query(
    `insert into key_entries (log_id, key_id, version, purpose, signer, vkey, dsse_digest)
     values ($1, $2, $3, $4, $5, $6, $7)`,
    [logId, keyId, version, purpose, signer, vkey, dsseDigest],
  );
  await tx.query(
    `insert into log_pending (log_id, subject_kind, subject_id, version, leaf, key_id) values ($1, 'key', $2, $3, $4, $5)`,
    [logId, keyId, version, leaf, signer],
  );
}

/** DER SubjectPublicKeyInfo of a receipt key. */
export async function readReceiptSpki(db: Queryable, keyId: string): Promise<Buffer | undefined> {
  const { rows } = await db.query<{ spki: Buffer }>('select spki from receipt_keys where key_id = $1', [
    keyId,
  ]);
  return rows[0]?.spki;
}

/** The same of several keys; those that are no receipt keys have none. */
export async function readReceiptSpkis(
  db: Queryable,
  keyIds: readonly string[],
): Promise<Map<string, Uint8Array>> {
  const { rows } = await db.query<{ key_id: string; spki: Buffer }>(
    'select key_id, spki from receipt_keys where key_id = any($1)',
    [keyIds],
  );
  return new Map(rows.map(({ key_id: keyId, spki }) => [keyId, spki]));
}

/** Where the entry of a key stands in the log, once it does. */
export async function readKeyEntryIndex(
  db: Queryable,
  logId: string,
  keyId: string,
  version: 1 | 2,
): Promise<number | undefined> {
  const { rows } = await db.query<{ index: number }>(
    `select idx as index from log_entries
     where log_id = $1 and subject_kind = 'key' and subject_id = $2 and version = $3`,
    [logId, keyId, version],
  );
  return rows[0]?.index;
}

/** An entry about a key with its envelope. */
export interface LoggedKeyEntry {
  keyId: string;
  purpose: 'receipt' | 'log';
  version: 1 | 2;
  index: number;
  dsse: Buffer;
  leaf: Buffer;
}

/** All entries about keys among the first `size` of the log, in its order. */
export async function readKeyEntries(db: Queryable, logId: string, size: number): Promise<LoggedKeyEntry[]> {
  const { rows } = await db.query<LoggedKeyEntry>(
    `select k.key_id as "keyId", k.purpose, k.version, e.idx as index, d.bytes as dsse, e.leaf
     from key_entries k
     join blocks d on d.digest = k.dsse_digest
     join log_entries e
       on e.log_id = k.log_id and e.subject_kind = 'key' and e.subject_id = k.key_id and e.version = k.version
     where k.log_id = $1 and e.idx < $2 order by e.idx`,
    [logId, size],
  );
  return rows;
}
