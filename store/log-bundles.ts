import { PUBLISHED } from './log-state.ts';
import type { Queryable } from './pool.ts';
import { DamagedBytes } from './sound.ts';

/** A document with its envelope and entry, as a bundle shows them. Absent while the entry is pending. */
export interface LoggedDocument {
  document: Buffer;
  dsse: Buffer;
  leaf: Buffer;
  index: number;
  keyId: string;
}

type MaybeLogged = Omit<LoggedDocument, 'index'> & { index: number | null };

/** Whether the bytes of document and envelope are still those that their digests name. */
const SOUND = 'sha256(b.bytes) = b.digest and sha256(d.bytes) = d.digest as sound';

/** The rows, if all of them are sound. */
function sound<T extends { sound: boolean }>(rows: readonly T[]): Omit<T, 'sound'>[] {
  return rows.map(({ sound: isSound, ...row }) => {
    if (!isSound) throw new DamagedBytes('a document of the bundle');
    return row;
  });
}

function isLogged(row: MaybeLogged): row is LoggedDocument {
  return row.index !== null;
}

export interface LoggedKey {
  keyId: string;
  dsse: Buffer;
  leaf: Buffer;
  index: number;
}

/** What the bundle of an execution is made of; undefined when there is no such execution with a receipt. */
export async function readLoggedReceipt(
  db: Queryable,
  logId: string,
  executionId: string,
): Promise<{ jobId: string | null; spec: Buffer | null; logged: LoggedDocument | undefined } | undefined> {
  const { rows } = await db.query<
    MaybeLogged & { sound: boolean; jobId: string | null; spec: Buffer | null }
  >(
    `select r.job_id as "jobId", j.raw as spec, b.bytes as document, d.bytes as dsse, e.leaf, e.idx as index, r.key_id as "keyId",
            ${SOUND}
     from receipts r
     left join blocks b on b.digest = r.digest left join blocks d on d.digest = r.dsse_digest
     left join jobs j on j.id = r.job_id
     left join log_entries e
       on e.log_id = $1 and e.idx < ${PUBLISHED} and e.subject_kind = 'receipt' and e.subject_id = r.execution_id::text and e.version = 1
     where r.execution_id = $2`,
    [logId, executionId],
  );
  const [row] = sound(rows);
  if (row === undefined) return undefined;
  const { jobId, spec, ...logged } = row;
  return { jobId, spec, logged: isLogged(logged) ? logged : undefined };
}

/** A receipt of a job that stands in the log, without its bytes. */
export interface LoggedReceipt {
  executionId: string;
  keyId: string;
}

/**
 * What the bundle of a job begins with, and the receipts that it will hold, in the order of the plan; undefined when
 * there is no such job that has ended.
 */
export async function readLoggedJob(
  db: Queryable,
  logId: string,
  jobId: string,
): Promise<{ spec: Buffer; summary: LoggedDocument; receipts: LoggedReceipt[] } | 'pending' | undefined> {
  const summaries = await db.query<MaybeLogged & { sound: boolean; spec: Buffer }>(
    `select j.raw as spec, b.bytes as document, d.bytes as dsse, e.leaf, e.idx as index, s.key_id as "keyId",
            ${SOUND}
     from job_summaries s
     join jobs j on j.id = s.job_id
     join blocks b on b.digest = s.digest join blocks d on d.digest = s.dsse_digest
     left join log_entries e
       on e.log_id = $1 and e.idx < ${PUBLISHED} and e.subject_kind = 'job' and e.subject_id = s.job_id and e.version = s.version
     where s.job_id = $2 order by s.version desc limit 1`,
    [logId, jobId],
  );
  const [row] = sound(summaries.rows);
  if (row === undefined) return undefined;
  const { rows: receipts } = await db.query<LoggedReceipt & { logged: boolean }>(
    `select r.execution_id as "executionId", r.key_id as "keyId", e.idx is not null as logged
     from receipts r
     join executions x on x.id = r.execution_id
     left join log_entries e
       on e.log_id = $1 and e.idx < ${PUBLISHED} and e.subject_kind = 'receipt' and e.subject_id = r.execution_id::text and e.version = 1
     where r.job_id = $2 order by x.idx, x.id`,
    [logId, jobId],
  );
  const { spec, ...summary } = row;
  if (!isLogged(summary) || !receipts.every((receipt) => receipt.logged)) return 'pending';
  return { spec, summary, receipts };
}

/** The receipts of these executions, in this order; those that are not in the log are left out. */
export async function readLoggedReceipts(
  db: Queryable,
  logId: string,
  executionIds: readonly string[],
): Promise<LoggedDocument[]> {
  const { rows } = await db.query<LoggedDocument & { sound: boolean }>(
    `select b.bytes as document, d.bytes as dsse, e.leaf, e.idx as index, r.key_id as "keyId",
            ${SOUND}
     from unnest($2::uuid[]) with ordinality as wanted (id, place)
     join receipts r on r.execution_id = wanted.id
     join blocks b on b.digest = r.digest join blocks d on d.digest = r.dsse_digest
     join log_entries e
       on e.log_id = $1 and e.idx < ${PUBLISHED} and e.subject_kind = 'receipt' and e.subject_id = r.execution_id::text and e.version = 1
     order by wanted.place`,
    [logId, executionIds],
  );
  return sound(rows);
}

/** The start entries of these receipt keys and of all that vouch for them, from the log's first one on. */
export async function readLoggedKeys(
  db: Queryable,
  logId: string,
  keyIds: readonly string[],
): Promise<LoggedKey[]> {
  const { rows } = await db.query<LoggedKey>(
    `with recursive chain as (
       select key_id, signer, dsse_digest from key_entries where log_id = $1 and version = 1 and key_id = any($2)
       union
       select k.key_id, k.signer, k.dsse_digest from chain c
       join key_entries k on k.log_id = $1 and k.version = 1 and k.key_id = c.signer
     )
     select k.key_id as "keyId", d.bytes as dsse, e.leaf, e.idx as index
     from chain k
     join blocks d on d.digest = k.dsse_digest
     join log_entries e on e.log_id = $1 and e.subject_kind = 'key' and e.subject_id = k.key_id and e.version = 1
     order by e.idx`,
    [logId, keyIds],
  );
  return rows;
}
