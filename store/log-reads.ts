import { viewerValues, visibleTo, type Viewer } from './principals.ts';
import type { Queryable } from './pool.ts';

/** What a CID names. */
export interface CidRow {
  cid: string;
  digest: Buffer;
  kind: 'receipt' | 'dsse' | 'summary' | 'manifest' | 'file';
  job_id: string | null;
  execution_id: string | null;
}

/**
 * What `cid` names, as far as `viewer` may see it: jobs that hold the same bytes have a row each, and those that he may
 * not see change nothing in his answer. A file that repeats a document's bytes does not hide the document.
 */
export async function findCid(db: Queryable, cid: string, viewer: Viewer): Promise<CidRow | undefined> {
  const { rows } = await db.query<CidRow>(
    `select c.cid, c.digest, c.kind, c.job_id, c.execution_id
     from cids c left join jobs j on j.id = c.job_id
     where c.cid = $3 and (j.id is null or ${visibleTo('j', 1)})
     order by c.kind = 'file', c.job_id limit 1`,
    [...viewerValues(viewer), cid],
  );
  return rows[0];
}

/** The bytes of a block. */
export async function getBlock(db: Queryable, digest: Uint8Array): Promise<Buffer | undefined> {
  const { rows } = await db.query<{ bytes: Buffer }>('select bytes from blocks where digest = $1', [digest]);
  return rows[0]?.bytes;
}

/** CIDs of the receipts of a job, in the order of its plan. */
export async function listReceiptCids(db: Queryable, jobId: string): Promise<string[]> {
  const { rows } = await db.query<{ cid: string }>(
    `select r.cid from receipts r join executions e on e.id = r.execution_id
     where r.job_id = $1 order by e.idx, e.number`,
    [jobId],
  );
  return rows.map((row) => row.cid);
}

/** When the log last grew. */
export async function readLogTime(db: Queryable, logId: string): Promise<Date | undefined> {
  const { rows } = await db.query<{ updated_at: Date }>(
    'select updated_at from log_state where log_id = $1',
    [logId],
  );
  return rows[0]?.updated_at;
}
