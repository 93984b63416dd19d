import { CID } from 'multiformats/cid';
import { directoryDag, type DirectoryEntry } from '../../domain/blocks/unixfs.ts';
import { cidOfDigest } from '../../domain/receipt/cid.ts';
import {
  getEndedJob,
  keepDirectory,
  listDirectoryRows,
  type DirectoryDocuments,
} from '../../store/blocks.ts';
import type { Pool } from '../../store/pool.ts';
import { visibleToOf } from '../../store/principals.ts';

export interface JobDirectory {
  cid: string;
  /** Of all its blocks; only when it was made by this call. */
  bytes?: number;
}

/**
 * The CID of everything that belongs to an ended job, as a UnixFS directory; undefined while it runs. A pure function of
 * stored rows, so it may be made by anybody, at any time, any number of times:
 *   manifest.json  summary.json  summary.dsse.json
 *   executions/<execution>/receipt.json  receipt.dsse.json  output  files/<name>
 */
export async function jobDirectory(pool: Pool, jobId: string): Promise<JobDirectory | undefined> {
  const job = await getEndedJob(pool, jobId);
  if (job === undefined) return undefined;
  if (job.directory_cid !== null) return { cid: job.directory_cid };
  const { cid, size, nodes } = await directoryDag(directoryEntries(await listDirectoryRows(pool, jobId)));
  const isKept = await keepDirectory(pool, {
    jobId,
    cid,
    visibleTo: visibleToOf(job),
    erased: job.erased,
    nodes: nodes.map((node) => ({ ...node, digest: CID.parse(node.cid).multihash.digest })),
  });
  return isKept ? { cid, bytes: size } : jobDirectory(pool, jobId);
}

function directoryEntries({ documents, files }: DirectoryDocuments): DirectoryEntry[] {
  const folder = (execution: string): string => (execution === '' ? '' : `executions/${execution}/`);
  return [
    ...documents.map(({ execution, name, digest, size }) => ({
      path: folder(execution) + name,
      cid: cidOfDigest(digest),
      size,
    })),
    ...files.map(({ execution, name, cid, size }) => ({
      path: `${folder(execution)}files/${name}`,
      cid,
      size,
    })),
  ];
}
