import { z } from 'zod';
import { toHex } from '../../../domain/encoding.ts';
import { LIMITS } from '../../../domain/limits.ts';
import { getJobState } from '../../../store/job-reads.ts';
import { listEntries, type EntriesOf } from '../../../store/log-entries.ts';
import type { Pool } from '../../../store/pool.ts';
import type { Viewer } from '../../../store/principals.ts';
import { ApiError } from '../../errors.ts';
import { lenientInt, wholeNumber } from '../../schemas.ts';
import type { RouteApp } from '../app-type.ts';
import { viewerOf } from '../viewer.ts';
import { logChoice, type LogFinder } from './log.ts';
import { logProblem } from './problem.ts';
import { seesSubject, subjectOf, visibleCid, visibleExecution } from './subject.ts';

const DEFAULT_ENTRIES = 100;

const query = z.object({
  ...logChoice,
  execution_id: z.string().optional(),
  job_id: z.string().max(128).optional(),
  ipfs_cid: z.string().max(128).optional(),
  tree_size: wholeNumber(1, Number.MAX_SAFE_INTEGER)
    .optional()
    .describe('Size of a checkpoint: what stood in the log then. Default the newest.'),
  limit: lenientInt(1, LIMITS.pageRows, DEFAULT_ENTRIES),
  after: wholeNumber(0, Number.MAX_SAFE_INTEGER).optional().describe('`next_after` of the page before.'),
});

const page = z.object({
  log_id: z.string(),
  tree_size: z.int().describe('Nothing beyond is listed, and nothing before it is left out.'),
  root: z.string().describe('Hex.'),
  checkpoint: z.string().describe('The signed note of this size.'),
  entries: z.array(
    z.object({
      leaf_index: z.int(),
      leaf_hash: z.string().describe('Hex.'),
      leaf: z.string().describe('The entry itself.'),
      key_id: z.string().describe('The key that signed it.'),
      version: z.int(),
      appended_at: z.iso.datetime(),
      subject_kind: z.string(),
      execution_id: z.string().nullable(),
      job_id: z.string().nullable(),
      ipfs_cid: z.string().nullable().describe('Of the receipt that the entry is about.'),
      summary_cid: z.string().nullable().describe('Of the job summary that the entry is about.'),
    }),
  ),
  next_after: z.int().nullable().describe('Null on the last page.'),
});

/** All that the log says about one thing, under one checkpoint: an auditor can find the same list in the tiles. */
export function registerEntries(app: RouteApp, pool: Pool, findLog: LogFinder): void {
  app.get(
    '/api/v1/transparency/entries',
    {
      config: { permission: 'read', mutates: false, anyOrigin: true, ownersToo: true },
      schema: {
        operationId: 'listEntries',
        summary: 'Every log entry about one execution, job or CID.',
        description:
          'Exactly one of the three is named. What nobody may know of has no entries here. Every web page may read it.',
        tags: ['transparency'],
        querystring: query,
        response: { 200: page.describe('In the order of the log, bound to one checkpoint.') },
        errors: [
          'validation_error',
          'invalid_execution_id',
          'proof_not_found',
          'cid_is_bundle',
          'checkpoint_not_found',
          'log_not_found',
        ],
      },
    },
    async (request) => {
      const { log_id: logId, tree_size: size, limit, after } = request.query;
      const { reader } = await findLog(logId);
      const checkpoint = await reader.checkpoint(size).catch(logProblem);
      const viewer = viewerOf(request.principal);
      const of = await subjectAsked(pool, request.query, viewer);
      const found =
        of === undefined
          ? []
          : await listEntries(pool, reader.logId, of, {
              size: checkpoint.size,
              from: after === undefined ? 0 : after + 1,
              limit: limit + 1,
            });
      const seen = await Promise.all(found.slice(0, limit).map((entry) => seesSubject(pool, entry, viewer)));
      const shown = found.slice(0, limit).filter((_, i) => seen[i]);
      return {
        log_id: reader.logId,
        tree_size: checkpoint.size,
        root: toHex(checkpoint.root),
        checkpoint: checkpoint.note,
        entries: shown.map((entry) => ({
          leaf_index: entry.index,
          leaf_hash: toHex(entry.leafHash),
          leaf: entry.leaf.toString('utf8'),
          key_id: entry.keyId,
          version: entry.version,
          appended_at: entry.appendedAt.toISOString(),
          ...subjectOf(entry),
        })),
        next_after: found.length > limit ? found[limit - 1]!.index : null,
      };
    },
  );
}

/** What is asked for; undefined for a job that nobody knows, or that the viewer may not see: the log says nothing of it. */
async function subjectAsked(
  pool: Pool,
  { execution_id: execution, job_id: job, ipfs_cid: cid }: z.infer<typeof query>,
  viewer: Viewer,
): Promise<EntriesOf | undefined> {
  const given = { execution_id: execution, job_id: job, ipfs_cid: cid };
  const named = Object.entries(given).filter(([, value]) => value !== undefined && value !== '');
  const [field, value] = named[0] ?? [];
  if (named.length !== 1 || value === undefined) {
    throw new ApiError('validation_error', {
      message: `${field ?? 'execution_id'}: exactly one of execution_id, job_id and ipfs_cid is needed`,
      details: { field: field ?? 'execution_id' },
    });
  }
  if (field === 'execution_id') return { executionId: await visibleExecution(pool, value, viewer) };
  if (field === 'ipfs_cid') return { cid: await visibleCid(pool, value, viewer) };
  return (await getJobState(pool, value, viewer)) === undefined ? undefined : { jobId: value };
}
