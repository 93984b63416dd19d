import { z } from 'zod';
import { jobDirectory } from '../../../attestation/blocks/directory.ts';
import type { BusinessEvents } from '../../../observability/events.ts';
import { getJobState } from '../../../store/job-reads.ts';
import type { Pool } from '../../../store/pool.ts';
import { listPublications } from '../../../store/publications.ts';
import { ApiError } from '../../errors.ts';
import { createTurns } from '../../feed/turns.ts';
import { jobId } from '../../schemas.ts';
import type { RouteApp } from '../app-type.ts';
import { gone } from '../streamed.ts';
import { viewerOf } from '../viewer.ts';

const timeOrNull = z.iso.datetime().nullable();
const publication = z
  .object({
    target: z.string(),
    kind: z.string().describe('`kubo` or `pinning`.'),
    stored_at: timeOrNull.describe('Since when the place has the bytes.'),
    pinned_at: timeOrNull.describe('Since when it keeps them.'),
    announced_at: timeOrNull.describe('When it told the network; pinning services do not say.'),
    removed_at: timeOrNull.describe('Since when it keeps it no longer, because something of it was erased.'),
    spare: z.boolean().describe('Enough other services hold it.'),
    note: z.string().nullable().describe('Why something is not true yet.'),
  })
  .meta({ id: 'Publication', description: 'Stored, pinned and announced are facts of their own.' });

const timeOf = (value: Date | null): string | null => value?.toISOString() ?? null;

/** Directories that are made at a time in this process: a large one takes a second of it. */
const AT_ONCE = 1;
const RETRY_AFTER_S = 2;

/** The content address of all that a job left. */
export function registerJobDirectory(
  app: RouteApp,
  { pool, events }: { pool: Pool; events: Pick<BusinessEvents, 'directoryMade'> },
): void {
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
              publications: z
                .array(publication)
                .describe('Places outside that hold it or are asked to; none for private jobs.'),
            })
            .describe('Its address.'),
        },
        errors: ['job_not_found', 'bundle_not_ready'],
      },
    },
    async (request, reply) => {
      const job = await getJobState(pool, request.params.id, viewerOf(request.principal));
      if (job === undefined) throw new ApiError('job_not_found');
      const made =
        job.directory_cid === null
          ? await turns.take(gone(reply), () => jobDirectory(pool, job.id))
          : { cid: job.directory_cid };
      if (made?.bytes !== undefined) events.directoryMade({ jobId: job.id, bytes: made.bytes });
      const cid = made?.cid;
      if (cid === undefined) throw new ApiError('bundle_not_ready', { retryAfterS: RETRY_AFTER_S });
      const publications = await listPublications(pool, job.id);
      return {
        job_id: job.id,
        directory_cid: cid,
        gateway: `/ipfs/${cid}`,
        publications: publications.map((one) => ({
          target: one.target,
          kind: one.kind,
          stored_at: timeOf(one.stored_at),
          pinned_at: timeOf(one.pinned_at),
          announced_at: timeOf(one.announced_at),
          removed_at: timeOf(one.removed_at),
          spare: one.spare,
          note: one.note,
        })),
      };
    },
  );
}
