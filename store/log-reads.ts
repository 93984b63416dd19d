import { EVERYBODY, viewerValues, type Viewer } from './principals.ts';
import type { Queryable } from './pool.ts';
import { sound } from './sound.ts';

/** What a CID names. */
export interface CidRow {
  cid: string;
  digest: Buffer;
  kind: 'receipt' | 'dsse' | 'summary' | 'manifest' | 'file' | 'leaf' | 'directory';
  job_id: string | null;
  execution_id: string | null;
}

/**
 * What `cid` names, as far as `viewer` may see it: bytes that somebody has in private have a row of their own, and those
 * that he may not see change nothing in his answer. A file that repeats a document's bytes does not hide the document.
 */
export async function findCid(db: Queryable, cid: string, viewer: Viewer): Promise<CidRow | undefined> {
  const { rows } = await db.query<CidRow>(
    `select cid, digest, kind, job_id, execution_id from cids
     where cid = $3 and (visible_to = '${EVERYBODY}' or $1::bool or visible_to = $2::text)
     order by kind in ('file', 'leaf'), kind, visible_to <> '${EVERYBODY}' limit 1`,
    [...viewerValues(viewer), cid],
  );
  return rows[0];
}

/** The bytes of a block, hashed again. */
export async function getBlock(db: Queryable, digest: Uint8Array): Promise<Buffer | undefined> {
  const { rows } = await db.query<{ bytes: Buffer }>('select bytes from blocks where digest = $1', [digest]);
  return rows[0] && sound(rows[0].bytes, digest);
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
