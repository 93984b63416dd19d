import type { Queryable } from './pool.ts';

/** What the log says of itself at one moment: its head, and the newest checkpoint, which follows it. */
export interface AuditTarget {
  origin: string;
  size: number;
  root: Buffer;
  /** Entries that are shown; they end at a checkpoint. */
  published: number;
  checkpointSize: number | null;
  checkpointRoot: Buffer | null;
  note: string | null;
}

export async function readAuditTarget(db: Queryable, logId: string): Promise<AuditTarget | undefined> {
  const { rows } = await db.query<AuditTarget>(
    `select s.origin, s.size, s.root, s.published, c.size as "checkpointSize", c.root as "checkpointRoot", c.note
     from log_state s left join lateral (
       -- What waits for its witnesses is signed, and nobody is shown it.
       select size, root, note from log_checkpoints where log_id = s.log_id and size <= s.published
       order by size desc limit 1) c on true
     where s.log_id = $1`,
    [logId],
  );
  return rows[0];
}

export interface AuditedEntry {
  index: number;
  leaf: Buffer;
  leafHash: Buffer;
}

/** The entries `start … start + count`, those that are there. */
export async function readAuditedEntries(
  db: Queryable,
  logId: string,
  start: number,
  count: number,
): Promise<AuditedEntry[]> {
  const { rows } = await db.query<AuditedEntry>(
    `select idx as index, leaf, leaf_hash as "leafHash" from log_entries
     where log_id = $1 and idx >= $2 and idx < $3 order by idx`,
    [logId, start, start + count],
  );
  return rows;
}

export interface StoredTile {
  root: Buffer;
  hashes: Buffer;
}

/** Full tiles in the order asked; undefined where one is not there. */
export async function readFullTiles(
  db: Queryable,
  logId: string,
  tiles: readonly { level: number; index: number }[],
): Promise<(StoredTile | undefined)[]> {
  if (tiles.length === 0) return [];
  const { rows } = await db.query<{ root: Buffer | null; hashes: Buffer | null }>(
    `select t.root, t.hashes from unnest($2::int[], $3::bigint[]) with ordinality as a (level, idx, place)
     left join log_tiles t on t.log_id = $1 and t.level = a.level and t.idx = a.idx order by a.place`,
    [logId, tiles.map((tile) => tile.level), tiles.map((tile) => tile.index)],
  );
  return rows.map(({ root, hashes }) => (root === null || hashes === null ? undefined : { root, hashes }));
}

/** What stands behind one entry: rows as they are, joined and not checked. */
export interface AuditedSubject {
  index: number;
  subjectKind: string;
  subjectId: string;
  /** As the entry has it. */
  cid: string | null;
  leaf: Buffer;
  /** Null where the row is gone. */
  documentCid: string | null;
  digest: Buffer | null;
  dsse: Buffer | null;
  /** Of an execution: as its receipt's row, and its own row, have it. */
  outcome: string | null;
  state: string | null;
  /** The log itself says that it was erased, or is about to. */
  erased: boolean;
}

/** The subjects of the entries `start … start + count`. */
export async function readAuditedSubjects(
  db: Queryable,
  logId: string,
  start: number,
  count: number,
): Promise<AuditedSubject[]> {
  const { rows } = await db.query<AuditedSubject>(
    `select e.idx as index, e.subject_kind as "subjectKind", e.subject_id as "subjectId", e.cid, e.leaf,
            coalesce(r.cid, s.cid) as "documentCid", coalesce(r.digest, s.digest) as digest, d.bytes as dsse,
            r.outcome, x.state,
            -- In whichever log: what stands in a closed one is erased in the one that grows.
            exists (select from log_state l join log_entries g on g.log_id = l.log_id
                    where g.subject_kind = 'erasure' and g.subject_id = e.subject_id)
              or exists (select from log_state l join log_pending g on g.log_id = l.log_id
                         where g.subject_kind = 'erasure' and g.subject_id = e.subject_id) as erased
     from log_entries e
     left join receipts r on e.subject_kind = 'receipt' and r.execution_id = e.execution_id
     left join job_summaries s on e.subject_kind = 'job' and s.job_id = e.subject_id and s.version = e.version
     left join key_entries k
       on e.subject_kind = 'key' and k.log_id = $1 and k.key_id = e.subject_id and k.version = e.version
     left join blocks d on d.digest = coalesce(r.dsse_digest, s.dsse_digest, k.dsse_digest)
     left join executions x on x.id = r.execution_id
     where e.log_id = $1 and e.idx >= $2 and e.idx < $3 order by e.idx`,
    [logId, start, start + count],
  );
  return rows;
}

/** A block whose bytes are not those of its digest. */
export interface DamagedBlock {
  digest: Buffer;
  kind: string | null;
  executionId: string | null;
  jobId: string | null;
}

/**
 * Hashes `limit` blocks after `after` inside the database, so that their bytes need not travel. `last` is where the next
 * page goes on; null at the end.
 */
export async function findDamagedBlocks(
  db: Queryable,
  after: Uint8Array,
  limit: number,
): Promise<{ damaged: DamagedBlock[]; seen: number; last: Buffer | null }> {
  const { rows } = await db.query<DamagedBlock & { whole: boolean }>(
    `select b.digest, sha256(b.bytes) = b.digest as whole, c.kind, c.execution_id as "executionId", c.job_id as "jobId"
     from (select digest, bytes from blocks where digest > $1 order by digest limit $2) b
     left join lateral (
       select kind, execution_id, job_id from cids where sha256(b.bytes) <> b.digest and cids.digest = b.digest limit 1) c on true
     order by b.digest`,
    [after, limit],
  );
  return {
    damaged: rows.filter(({ whole }) => !whole),
    seen: rows.length,
    last: rows.length < limit ? null : rows.at(-1)!.digest,
  };
}

/**
 * Executions after `after` that ended and have no receipt, or one for which no entry is there or to come: in any log of
 * this database, since a closed one keeps what it has.
 */
export async function findUnlogged(
  db: Queryable,
  after: string,
  limit: number,
): Promise<{ unlogged: string[]; last: string | null }> {
  const { rows } = await db.query<{ id: string; logged: boolean }>(
    `select x.id, x.state in ('pending', 'placing', 'running', 'parked') or (
       exists (select from receipts r where r.execution_id = x.id) and (
         exists (select from log_state l join log_entries e on e.log_id = l.log_id
                 where e.subject_kind = 'receipt' and e.subject_id = x.id::text)
         or exists (select from log_state l join log_pending p on p.log_id = l.log_id
                    where p.subject_kind = 'receipt' and p.subject_id = x.id::text))
     ) as logged
     from (select id, state from executions where id > $1::uuid order by id limit $2) x order by x.id`,
    [after, limit],
  );
  return {
    unlogged: rows.filter(({ logged }) => !logged).map(({ id }) => id),
    last: rows.length < limit ? null : rows.at(-1)!.id,
  };
}

export interface AuditedCheckpoint {
  size: number;
  root: Buffer;
  note: string;
}

/** The checkpoints of more than `after` and at most `upTo` entries that are kept. */
export async function readAuditedCheckpoints(
  db: Queryable,
  logId: string,
  after: number,
  upTo: number,
): Promise<AuditedCheckpoint[]> {
  const { rows } = await db.query<AuditedCheckpoint>(
    'select size, root, note from log_checkpoints where log_id = $1 and size > $2 and size <= $3 order by size',
    [logId, after, upTo],
  );
  return rows;
}
