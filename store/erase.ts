/**
 * Removes what is left of an execution: only the owner of the schema may, the services cannot. In one transaction with the
 * signed entry that says so:
 *   removed   the receipt's and the envelope's bytes, log lines, the rows of files, outputs and files that nothing else has,
 *             the job's manifest and directory (they name the files and their hashes)
 *   kept      the rows of execution, attempts and receipt with ids, times and the hash of the receipt (it is salted), and
 *             the entry of the receipt in the log
 * Bytes that another execution has too stay for it; who cannot see that one finds them erased.
 */
import { cidOfDigest } from '../domain/receipt/cid.ts';
import { EVERYBODY } from './principals.ts';
import type { Queryable, Transaction } from './pool.ts';
import { withdrawPublications } from './withdrawals.ts';

export interface Erasable {
  executionId: string;
  jobId: string | null;
  receiptCid: string;
  owner: string | null;
  visibility: 'public' | 'private';
  /** Its receipt stands in the log, or in one that was closed. */
  isLogged: boolean;
  isErased: boolean;
}

/** The executions of a job that have ended, or the one execution; in the order of the plan. */
export async function findErasable(
  db: Queryable,
  what: { jobId: string } | { executionId: string } | { number: number },
): Promise<Erasable[]> {
  const [column, value] =
    'jobId' in what
      ? ['x.job_id', what.jobId]
      : 'number' in what
        ? ['x.number', what.number]
        : ['x.id', what.executionId];
  const { rows } = await db.query<Erasable>(
    `select x.id as "executionId", x.job_id as "jobId", r.cid as "receiptCid", j.owner, x.visibility,
            exists (
              select from log_state l join log_entries e on e.log_id = l.log_id
              where e.subject_kind = 'receipt' and e.subject_id = x.id::text and e.version = 1) as "isLogged", g.execution_id is not null as "isErased"
     from executions x
     join receipts r on r.execution_id = x.id
     left join jobs j on j.id = x.job_id
     left join erasures g on g.execution_id = x.id
     where ${column} = $1 order by x.idx, x.number`,
    [value],
  );
  return rows;
}

/** Executions of a job that have not ended. */
export async function countUnended(db: Queryable, jobId: string): Promise<number | undefined> {
  const { rows } = await db.query<{ open: number }>('select open from jobs where id = $1', [jobId]);
  return rows[0]?.open;
}

export interface SignedErasure {
  dsse: Uint8Array;
  dsseDigest: Uint8Array;
  dsseCid: string;
  leaf: Uint8Array;
  keyId: string;
}

export interface EraseInput {
  logId: string;
  execution: Erasable;
  erasedAt: Date;
  signed: SignedErasure;
  withSpec: boolean;
}

/** How many blobs were removed; undefined when it had been erased meanwhile. */
export async function eraseExecution(tx: Transaction, input: EraseInput): Promise<number | undefined> {
  const { execution, signed } = input;
  const { executionId, jobId } = execution;
  const visibleTo = execution.visibility === 'private' ? (execution.owner ?? EVERYBODY) : EVERYBODY;
  await tx.query('select from executions where id = $1 for update', [executionId]);
  if (!(await record(tx, input))) return undefined;

  const digests = await hashesOf(tx, executionId);
  await tx.query('delete from attempt_logs where execution_id = $1', [executionId]);
  await tx.query('delete from files where execution_id = $1', [executionId]);
  await tx.query(
    `update executions set output_sha256 = null,
       failure = case when failure is null then null else (failure::jsonb || '{"message":"erased"}')::json end
     where id = $1`,
    [executionId],
  );
  await tx.query(
    `update attempts set outcome = null,
       failure = case when failure is null then null else (failure::jsonb || '{"message":"erased"}')::json end
     where execution_id = $1`,
    [executionId],
  );
  let blobs = 0;
  for (const sha256 of digests) blobs += await eraseBytes(tx, sha256, executionId, visibleTo);
  const { rows } = await tx.query<{ digest: Buffer; dsse_digest: Buffer }>(
    'select digest, dsse_digest from receipts where execution_id = $1',
    [executionId],
  );
  for (const { digest, dsse_digest: dsse } of rows) {
    for (const block of [digest, dsse]) await eraseBlock(tx, block, executionId);
  }
  if (jobId !== null) {
    // Whoever makes the job's directory or publishes it takes this lock: before us, then we find it; or after us.
    await tx.query('select from jobs where id = $1 for no key update', [jobId]);
    await eraseIndexes(tx, jobId, executionId);
    await withdrawPublications(tx, jobId);
    if (input.withSpec) await eraseSpec(tx, jobId);
  }
  await tx.query(
    `insert into cids (cid, digest, kind, visible_to, job_id, execution_id) values ($1, $2, 'dsse', $3, $4, $5)
     on conflict do nothing`,
    [signed.dsseCid, signed.dsseDigest, visibleTo, jobId, executionId],
  );
  return blobs;
}

/** Removes the signed spec of a job with its questions. Its executions were erased before, which is what allows it. */
export async function eraseSpec(db: Queryable, jobId: string): Promise<void> {
  await db.query(
    `update executions set question_text = null where job_id = $1 and question_text is not null
       and id in (select g.execution_id from erasures g where g.job_id = $1)`,
    [jobId],
  );
  await db.query('update erasures set with_spec = true where job_id = $1 and not with_spec', [jobId]);
  await db.query(`update jobs set raw = '', name = 'erased' where id = $1`, [jobId]);
}

/** The entry and the row that it is known by; false when there is one already. */
async function record(tx: Transaction, { logId, execution, erasedAt, signed, withSpec }: EraseInput) {
  const { executionId, jobId, receiptCid, owner, visibility } = execution;
  await tx.query('insert into blocks (digest, bytes) values ($1, $2) on conflict do nothing', [
    signed.dsseDigest,
    signed.dsse,
  ]);
  const { rowCount } = await tx.query(
    `insert into erasures (execution_id, job_id, receipt_cid, dsse_digest, key_id, with_spec, erased_at)
     values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing`,
    [executionId, jobId, receiptCid, signed.dsseDigest, signed.keyId, withSpec, erasedAt],
  );
  if (rowCount !== 1) return false;
  await tx.query(
    `insert into log_pending (log_id, subject_kind, subject_id, version, leaf, key_id, job_id, execution_id, owner, visibility)
     values ($1, 'erasure', $2::uuid::text, 1, $3, $4, $5, $2::uuid, $6, $7)`,
    [logId, executionId, signed.leaf, signed.keyId, jobId, owner, visibility],
  );
  return true;
}

async function hashesOf(tx: Transaction, executionId: string): Promise<Buffer[]> {
  const { rows } = await tx.query<{ sha256: Buffer }>(
    `select sha256 from files where execution_id = $1
     union select output_sha256 from executions where id = $1 and output_sha256 is not null`,
    [executionId],
  );
  return rows.map((row) => row.sha256);
}

/** Lets go of an output or file that the execution had; 1 when nobody else has these bytes and they are gone. */
async function eraseBytes(
  tx: Transaction,
  sha256: Buffer,
  executionId: string,
  visibleTo: string,
): Promise<number> {
  // No index finds who else has these bytes: erasing is rare, and every attest would pay for one.
  const { rows: holders } = await tx.query<{ id: string; job_id: string | null; same: boolean }>(
    `select x.id, x.job_id, (case when x.visibility = 'private' then x.owner else '${EVERYBODY}' end) = $2 as same
     from executions x
     where x.output_sha256 = $1 or x.id in (select f.execution_id from files f where f.sha256 = $1)
     order by same desc limit 1`,
    [sha256, visibleTo],
  );
  const [holder] = holders;
  const cid = cidOfDigest(sha256);
  const mine = `(cid = $1 or (kind = 'leaf' and digest = $2)) and kind in ('file', 'leaf') and visible_to = $3`;
  if (holder?.same === true) {
    await tx.query(`update cids set job_id = $4, execution_id = $5 where ${mine} and execution_id = $6`, [
      cid,
      sha256,
      visibleTo,
      holder.job_id,
      holder.id,
      executionId,
    ]);
    return 0;
  }
  await keepSharedLeaves(tx, sha256, visibleTo);
  await tx.query(
    `with gone as (delete from cids where ${mine} returning cid, visible_to)
     insert into erased_cids (cid, visible_to, execution_id) select cid, visible_to, $4 from gone on conflict do nothing`,
    [cid, sha256, visibleTo, executionId],
  );
  if (holder !== undefined) return 0;
  // A job under way may have made the same bytes by now and refer to them at its end (blob-sweep.ts): its marks are at most
  // an hour older than that. Then they go in the next walk of the sweep, unless it did.
  const { rows: busy } = await tx.query(
    `select from jobs where state = 'running'
       and started_at <= (select max(staged_at) from blobs where sha256 = $1) + interval '1 hour' limit 1`,
    [sha256],
  );
  if (busy.length > 0) {
    await tx.query('update blobs set staged_at = now() where sha256 = $1', [sha256]);
    return 0;
  }
  const { rowCount } = await tx.query('delete from blobs where sha256 = $1', [sha256]);
  return (rowCount ?? 0) > 0 ? 1 : 0;
}

/** Parts of a large file that another one has too, and that the same people may see, are from now on parts of that one. */
async function keepSharedLeaves(tx: Transaction, sha256: Buffer, visibleTo: string): Promise<void> {
  await tx.query(
    `update cids c set digest = o.sha256, job_id = o.job_id, execution_id = o.id
     from (
       select distinct on (b.leaf_cid) b.leaf_cid, b.sha256, x.job_id, x.id
       from blobs mine
       join blobs b on b.leaf_cid = mine.leaf_cid and b.sha256 <> mine.sha256
       join files f on f.sha256 = b.sha256 and f.size > 1048576
       join executions x on x.id = f.execution_id and x.receipt_cid is not null
       where mine.sha256 = $1 and mine.leaf_cid is not null
         and (case when x.visibility = 'private' then x.owner else '${EVERYBODY}' end) = $2
       order by b.leaf_cid, x.id
     ) o
     where c.cid = o.leaf_cid and c.kind = 'leaf' and c.digest = $1 and c.visible_to = $2`,
    [sha256, visibleTo],
  );
}

/** A signed document or an index is nobody else's: a salt or an id makes it the only one. */
async function eraseBlock(tx: Transaction, digest: Buffer, executionId: string): Promise<void> {
  await tx.query(
    `with gone as (delete from cids where digest = $1 and kind not in ('file', 'leaf') returning cid, visible_to)
     insert into erased_cids (cid, visible_to, execution_id) select cid, visible_to, $2 from gone on conflict do nothing`,
    [digest, executionId],
  );
  await tx.query('delete from blocks where digest = $1', [digest]);
}

/** The manifest and the directory of a job tell names and hashes of files, without a salt. */
async function eraseIndexes(tx: Transaction, jobId: string, executionId: string): Promise<void> {
  const { rows } = await tx.query<{ digest: Buffer }>(
    `select distinct c.digest from cids c where c.job_id = $1 and c.kind in ('manifest', 'directory')
       and not exists (select from cids o where o.digest = c.digest and o.job_id is distinct from c.job_id)`,
    [jobId],
  );
  for (const { digest } of rows) await eraseBlock(tx, digest, executionId);
  await tx.query('update jobs set directory_cid = null where id = $1', [jobId]);
}
