import { PUBLISHED } from './log-state.ts';
import { EVERYBODY, viewerValues, type Viewer } from './principals.ts';
import type { Queryable } from './pool.ts';

/** The erasure of an execution with its envelope; without a place in the log while its entry is pending. */
export interface MaybeErased {
  executionId: string;
  receiptCid: string;
  erasedAt: Date;
  withSpec: boolean;
  keyId: string;
  dsse: Buffer;
  leaf: Buffer;
  index: number | null;
}

const ERASURE = `select r.execution_id as "executionId", r.receipt_cid as "receiptCid", r.erased_at as "erasedAt",
         r.with_spec as "withSpec", r.key_id as "keyId", d.bytes as dsse,
         coalesce(e.leaf, p.leaf) as leaf, e.idx as index
  from erasures r join blocks d on d.digest = r.dsse_digest
  left join log_entries e on e.log_id = $1 and e.idx < ${PUBLISHED} and e.subject_kind = 'erasure'
    and e.subject_id = r.execution_id::text and e.version = 1
  left join log_pending p on p.log_id = $1 and p.subject_kind = 'erasure'
    and p.subject_id = r.execution_id::text and p.version = 1`;

export async function readErasure(
  db: Queryable,
  logId: string,
  executionId: string,
): Promise<MaybeErased | undefined> {
  const { rows } = await db.query<MaybeErased>(`${ERASURE} where r.execution_id = $2`, [logId, executionId]);
  return rows[0];
}

/** The log in which an erasure stands and is shown. */
export async function findErasureLog(db: Queryable, executionId: string): Promise<string | undefined> {
  const { rows } = await db.query<{ logId: string }>(
    `select l.log_id as "logId" from log_state l join log_entries e on e.log_id = l.log_id and e.idx < l.published
     where e.subject_kind = 'erasure' and e.subject_id = $1::uuid::text limit 1`,
    [executionId],
  );
  return rows[0]?.logId;
}

/** Those of a job, in the order of its plan. */
export async function readErasuresOfJob(db: Queryable, logId: string, jobId: string): Promise<MaybeErased[]> {
  const { rows } = await db.query<MaybeErased>(
    `${ERASURE} join executions x on x.id = r.execution_id where r.job_id = $2 order by x.idx, x.id`,
    [logId, jobId],
  );
  return rows;
}

/** Whether an execution was erased, and whether its job's spec was. */
export async function isErased(db: Queryable, executionId: string): Promise<boolean> {
  const { rowCount } = await db.query('select from erasures where execution_id = $1', [executionId]);
  return rowCount === 1;
}

/** Whether the raw spec of a job was erased. */
export async function isSpecErased(db: Queryable, jobId: string): Promise<boolean> {
  // A job without executions has no erasure of one, only the empty place of its spec.
  const { rowCount } = await db.query(
    `select from erasures where job_id = $1 and with_spec
     union all select from jobs where id = $1 and length(raw) = 0 limit 1`,
    [jobId],
  );
  return rowCount === 1;
}

/** The execution with which the bytes of `cid` were erased, if `viewer` could have seen them. */
export async function findErasedCid(db: Queryable, cid: string, viewer: Viewer): Promise<string | undefined> {
  const { rows } = await db.query<{ id: string }>(
    `select execution_id as id from erased_cids
     where cid = $3 and (visible_to = '${EVERYBODY}' or $1::bool or visible_to = $2::text) limit 1`,
    [...viewerValues(viewer), cid],
  );
  return rows[0]?.id;
}
