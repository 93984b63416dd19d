import type { FastifyReply } from 'fastify';
import { executionBundle, jobBundle } from '../../../attestation/bundle.ts';
import type { Bundle } from '../../../domain/receipt/bundle.ts';
import { getJobState } from '../../../store/job-reads.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';
import { executionId, jobId } from '../../schemas.ts';
import type { RouteApp } from '../app-type.ts';
import { findExecution } from '../executions/find.ts';
import { viewerOf } from '../viewer.ts';
import type { ServedLog } from './log.ts';
import { logProblem } from './problem.ts';

const READ = { permission: 'read', mutates: false } as const;
const RETRY_AFTER_S = 1;

/** Beacon bundles: all that `beacon verify` needs, in one file. */
export function registerBundles(app: RouteApp, pool: Pool, findLog: () => Promise<ServedLog>): void {
  app.get(
    '/api/v1/executions/:id/bundle',
    {
      config: READ,
      schema: {
        summary: 'Everything that checking one execution needs.',
        tags: ['transparency'],
        params: executionId,
      },
    },
    async (request, reply) => {
      const execution = await findExecution(pool, request.params.id, request.principal);
      const { reader } = await findLog();
      return sendBundle(
        reply,
        execution.id,
        await executionBundle(pool, reader, execution.id).catch(logProblem),
      );
    },
  );
  app.get(
    '/api/v1/jobs/:id/bundle',
    {
      config: READ,
      schema: {
        summary: 'Everything that checking a whole job needs.',
        tags: ['transparency'],
        params: jobId,
      },
    },
    async (request, reply) => {
      const job = await getJobState(pool, request.params.id, viewerOf(request.principal));
      if (job === undefined) throw new ApiError('job_not_found');
      const { reader } = await findLog();
      return sendBundle(reply, job.id, await jobBundle(pool, reader, job.id).catch(logProblem));
    },
  );
}

function sendBundle(reply: FastifyReply, name: string, bundle: Bundle | undefined): FastifyReply {
  if (bundle === undefined) throw new ApiError('bundle_not_ready', { retryAfterS: RETRY_AFTER_S });
  return reply
    .type(bundle.media_type)
    .header('content-disposition', `attachment; filename="${name}.beacon.json"`)
    .send(JSON.stringify(bundle));
}
