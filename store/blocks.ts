import { prepared, withTransaction, type Pool, type Queryable } from './pool.ts';

const READ_BLOCK = prepared(
  'read-block',
  `select bytes from blocks where digest = $1
   union all select bytes from blobs where sha256 = $1 and part = 0 and leaf_cid is null
   union all select bytes from blobs where leaf_cid = $2
   limit 1`,
);

/**
 * The bytes that are stored as the raw block `cid` with this SHA-256: a document, a small file, or a chunk of a large one.
 * Not hashed again here.
 */
export async function readStoredBlock(
  db: Queryable,
  digest: Uint8Array,
  cid: string,
): Promise<Buffer | undefined> {
  const { rows } = await db.query<{ bytes: Buffer }>(READ_BLOCK([digest, cid]));
  return rows[0]?.bytes;
}

/** The SHA-256 of the whole file that has this CID, whoever may see it. */
export async function findFileDigest(db: Queryable, cid: string): Promise<Buffer | undefined> {
  const { rows } = await db.query<{ digest: Buffer }>(
    `select digest from cids where cid = $1 and kind = 'file' limit 1`,
    [cid],
  );
  return rows[0]?.digest;
}

/** A file of a job's directory. */
export interface DirectoryRow {
  path: string;
  cid: string;
  size: number;
}

export interface EndedJob {
  owner: string;
  visibility: string;
  directory_cid: string | null;
  /** How many of its executions were erased. */
  erased: number;
}

/** A job that has ended; undefined while it runs. */
export async function getEndedJob(db: Queryable, jobId: string): Promise<EndedJob | undefined> {
  const { rows } = await db.query<EndedJob>(
    `select owner, visibility, directory_cid, (select count(*) from erasures g where g.job_id = j.id) as erased
     from jobs j where id = $1 and summary_cid is not null`,
    [jobId],
  );
  return rows[0];
}

/**
 * Everything that belongs to an ended job, as its directory names it. Documents have two digests, so a receipt and its
 * envelope come from one row.
 */
export async function listDirectoryRows(db: Queryable, jobId: string): Promise<DirectoryDocuments> {
  const documents = await db.query<DocumentRow>(
    `select '' as execution, m.digest, length(m.bytes) as size, 'manifest.json' as name
     from jobs j join cids c on c.cid = j.manifest_cid join blocks m on m.digest = c.digest where j.id = $1
     union
     select '', b.digest, length(b.bytes), d.name
     from jobs j join job_summaries s on s.job_id = j.id and s.cid = j.summary_cid,
     lateral (values (s.digest, 'summary.json'), (s.dsse_digest, 'summary.dsse.json')) d (digest, name)
     join blocks b on b.digest = d.digest where j.id = $1
     union
     select r.execution_id::text, b.digest, length(b.bytes), d.name
     from receipts r, lateral (values (r.digest, 'receipt.json'), (r.dsse_digest, 'receipt.dsse.json')) d (digest, name)
     join blocks b on b.digest = d.digest where r.job_id = $1
     union
     select e.id::text, o.sha256, length(o.bytes), 'output'
     from executions e join blobs o on o.sha256 = e.output_sha256 and o.part = 0 and o.leaf_cid is null
     where e.job_id = $1`,
    [jobId],
  );
  const files = await db.query<DirectoryFile>(
    `select e.id as execution, f.name, f.cid, f.size
     from executions e join files f on f.execution_id = e.id and f.attempt = e.attempt
     where e.job_id = $1 and f.direction = 'output' and f.cid is not null`,
    [jobId],
  );
  return { documents: documents.rows, files: files.rows };
}

interface DocumentRow {
  /** Empty: of the job itself. */
  execution: string;
  digest: Buffer;
  size: number;
  name: string;
}

interface DirectoryFile {
  execution: string;
  name: string;
  cid: string;
  size: number;
}

export interface DirectoryDocuments {
  documents: DocumentRow[];
  files: DirectoryFile[];
}

/**
 * Keeps a directory's nodes, and that it is the job's. The same directory again changes nothing. False: it was made of what
 * was erased meanwhile.
 */
export async function keepDirectory(
  pool: Pool,
  directory: {
    jobId: string;
    cid: string;
    visibleTo: string;
    erased: number;
    nodes: { cid: string; digest: Uint8Array; bytes: Uint8Array }[];
  },
): Promise<boolean> {
  const { jobId, cid, visibleTo, erased, nodes } = directory;
  return withTransaction(pool, async (tx) => {
    // An erasure takes this lock as well, and finds what was kept before it.
    await tx.query('select from jobs where id = $1 for no key update', [jobId]);
    const { rows } = await tx.query<{ erased: number }>(
      'select count(*) as erased from erasures where job_id = $1',
      [jobId],
    );
    if (rows[0]!.erased !== erased) return false;
    await tx.query(
      `with new_blocks as (
       insert into blocks (digest, bytes) select * from unnest($4::bytea[], $5::bytea[]) on conflict do nothing
     ), new_cids as (
       insert into cids (cid, digest, kind, visible_to, job_id)
       select n.cid, n.digest, 'directory', $6, $1 from unnest($3::text[], $4::bytea[]) as n (cid, digest) order by n.cid
       on conflict do nothing
     )
     update jobs set directory_cid = $2 where id = $1 and directory_cid is distinct from $2`,
      [
        jobId,
        cid,
        nodes.map((node) => node.cid),
        nodes.map((node) => node.digest),
        nodes.map((node) => node.bytes),
        visibleTo,
      ],
    );
    return true;
  });
}

/** Stores blocks that nothing names: they are found by their CID in the store, and by nobody at the gateway. */
export async function putBlocks(
  db: Queryable,
  blocks: readonly { digest: Uint8Array; bytes: Uint8Array }[],
): Promise<void> {
  await db.query(
    'insert into blocks (digest, bytes) select * from unnest($1::bytea[], $2::bytea[]) on conflict do nothing',
    [blocks.map((block) => block.digest), blocks.map((block) => block.bytes)],
  );
}
