import { z } from 'zod';
import { jobDirectory } from '../../../attestation/blocks/directory.ts';
import { getJobState } from '../../../store/job-reads.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';
import { createTurns } from '../../feed/turns.ts';
import { jobId } from '../../schemas.ts';
import type { RouteApp } from '../app-type.ts';
import { gone } from '../streamed.ts';
import { viewerOf } from '../viewer.ts';

/** Directories that are made at a time in this process: a large one takes a second of it. */
const AT_ONCE = 1;
const RETRY_AFTER_S = 2;

/** The content address of all that a job left. */
export function registerJobDirectory(app: RouteApp, pool: Pool): void {
  const turns = createTurns(AT_ONCE);
  app.get(
    '/api/v1/jobs/:id/directory',
    {
      config: { permission: 'read', mutates: false },
      schema: {
        operationId: 'getJobDirectory',
        summary: 'The CID of all files of an ended job, as a UnixFS directory.',
        description:
          'manifest.json, summary.json and summary.dsse.json; in executions/{id}/ receipt.json, receipt.dsse.json, output and files/. A pure function of what is stored: whoever has the files gets the same CID (profile unixfs-v1-2025).',
        tags: ['jobs'],
        params: jobId,
        response: {
          200: z
            .object({
              job_id: z.string(),
              directory_cid: z.string(),
              gateway: z.string().describe('Where its blocks are; add `?format=car` for all of them.'),
            })
            .describe('Its address.'),
        },
        errors: ['job_not_found', 'bundle_not_ready'],
      },
    },
    async (request, reply) => {
      const job = await getJobState(pool, request.params.id, viewerOf(request.principal));
      if (job === undefined) throw new ApiError('job_not_found');
      const cid = job.directory_cid ?? (await turns.take(gone(reply), () => jobDirectory(pool, job.id)));
      if (cid === undefined) throw new ApiError('bundle_not_ready', { retryAfterS: RETRY_AFTER_S });
      return { job_id: job.id, directory_cid: cid, gateway: `/ipfs/${cid}` };
    },
  );
}
