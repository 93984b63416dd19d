import { z } from 'zod';
import { toHex } from '../../../domain/encoding.ts';
import { getExecution } from '../../../store/execution-reads.ts';
import { getJobState } from '../../../store/job-reads.ts';
import type { EntryQuery, LogEntry } from '../../../store/log-entries.ts';
import { findCid, listReceiptCids } from '../../../store/log-reads.ts';
import type { Pool } from '../../../store/pool.ts';
import type { Viewer } from '../../../store/principals.ts';
import { ApiError } from '../../errors.ts';
import { wholeNumber } from '../../schemas.ts';
import type { RouteApp } from '../app-type.ts';
import { parseExecutionRef } from '../executions/find.ts';
import { viewerOf } from '../viewer.ts';
import type { ServedLog } from './log.ts';
import { logProblem } from './problem.ts';

const hex = z.string().describe('Hex.');
const proof = z.object({
  log_id: z.string(),
  leaf_index: z.int(),
  leaf_hash: hex,
  leaf: z.string().describe('The entry itself.'),
  tree_size: z.int(),
  sequence: z.int().describe('Number of entries under the root.'),
  hashes: z.array(hex).describe('From the leaf to the root.'),
  siblings: z.array(hex).describe('The same as `hashes`.'),
  directions: z.array(z.boolean()).describe('Whether each sibling stands on the right.'),
  merkle_root: hex,
  root: hex,
  root_hash: hex,
  updated_at: z.iso.datetime(),
  checkpoint: z.string().describe('The signed note.'),
  tlog_proof: z.string().describe('The same as one c2sp.org/tlog-proof@v1 text.'),
  subject_kind: z.string().optional(),
  execution_id: z.string().nullable().optional(),
  job_id: z.string().nullable().optional(),
  ipfs_cid: z.string().nullable().optional().describe('Of the receipt that the entry is about.'),
  summary_cid: z.string().nullable().optional().describe('Of the job summary that the entry is about.'),
});

/** Inclusion proofs by entry, execution or CID; what several of them name must be one entry. */
export function registerProof(app: RouteApp, pool: Pool, findLog: () => Promise<ServedLog>): void {
  app.get(
    '/api/v1/transparency/proof',
    {
      config: { permission: 'read', mutates: false },
      schema: {
        operationId: 'getProof',
        summary: 'That an entry is in the log, under the newest checkpoint.',
        description: 'Several parameters must name one entry.',
        tags: ['transparency'],
        querystring: z.object({
          index: wholeNumber(0, Number.MAX_SAFE_INTEGER).optional(),
          execution_id: z.string().optional(),
          ipfs_cid: z.string().max(128).optional().describe('Of a receipt; that of a job summary does too.'),
        }),
        response: { 200: proof.describe('An inclusion proof (RFC 6962).') },
        errors: [
          'validation_error',
          'invalid_execution_id',
          'proof_subject_missing',
          'proof_subjects_disagree',
          'proof_not_found',
          'not_yet_logged',
          'cid_is_bundle',
          'log_not_found',
        ],
      },
    },
    async (request) => {
      const { index, execution_id: execution, ipfs_cid: cid } = request.query;
      const { reader, head } = await findLog();
      const viewer = viewerOf(request.principal);
      const subjects: Promise<LogEntry>[] = [];
      const find = (query: EntryQuery) => reader.entry(query).catch(logProblem);
      if (index !== undefined) subjects.push(find({ index }));
      if (execution !== undefined && execution !== '')
        subjects.push(visibleExecution(pool, execution, viewer).then(find));
      if (cid !== undefined && cid !== '') subjects.push(visibleCid(pool, cid, viewer).then(find));
      const [entry, ...others] = await Promise.all(subjects);
      if (entry === undefined) throw new ApiError('proof_subject_missing');
      if (others.some((other) => other.index !== entry.index)) {
        throw new ApiError('proof_subjects_disagree', {
          details: { indexes: [entry, ...others].map((subject) => subject.index) },
        });
      }
      // The checkpoint is read after the entry, so it covers it.
      const checkpoint = await reader.checkpoint();
      const [found] = await reader.prove([entry.index], checkpoint);
      if (found === undefined) throw new ApiError('proof_not_found');
      const hashes = found.hashes.map(toHex);
      const root = toHex(checkpoint.root);
      return {
        log_id: head.logId,
        leaf_index: entry.index,
        leaf_hash: toHex(entry.leafHash),
        leaf: entry.leaf.toString('utf8'),
        tree_size: checkpoint.size,
        sequence: checkpoint.size,
        hashes,
        siblings: hashes,
        directions: found.directions.map((side) => side === 'right'),
        merkle_root: root,
        root,
        root_hash: root,
        updated_at: checkpoint.signedAt.toISOString(),
        checkpoint: checkpoint.note,
        tlog_proof: found.tlogProof,
        ...(await subjectOf(pool, entry, viewer)),
      };
    },
  );
}

async function visibleExecution(pool: Pool, text: string, viewer: Viewer): Promise<EntryQuery> {
  const row = await getExecution(pool, parseExecutionRef(text), viewer, 0);
  if (row === undefined) throw new ApiError('proof_not_found');
  return { executionId: row.id };
}

async function visibleCid(pool: Pool, cid: string, viewer: Viewer): Promise<EntryQuery> {
  const found = await findCid(pool, cid, viewer);
  if (found?.kind === 'manifest' && found.job_id !== null) {
    throw new ApiError('cid_is_bundle', {
      details: { job_id: found.job_id, receipts: await listReceiptCids(pool, found.job_id) },
    });
  }
  if (found === undefined || found.kind === 'file' || found.kind === 'dsse')
    throw new ApiError('proof_not_found');
  return { cid };
}

/** What the entry is about; by its index alone a private job's entry is only a leaf. */
async function subjectOf(pool: Pool, entry: LogEntry, viewer: Viewer) {
  if (entry.jobId !== null && (await getJobState(pool, entry.jobId, viewer)) === undefined) return {};
  return {
    subject_kind: entry.subjectKind,
    execution_id: entry.executionId,
    job_id: entry.jobId,
    // `ipfs_cid` is always that of a receipt (spec: core §2).
    ipfs_cid: entry.subjectKind === 'receipt' ? entry.cid : null,
    summary_cid: entry.subjectKind === 'job' ? entry.cid : null,
  };
}
