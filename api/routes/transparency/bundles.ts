import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { executionBundle, jobBundle } from '../../../attestation/bundle.ts';
import { JOB_BUNDLE } from '../../../domain/receipt/bundle.ts';
import { getJobState } from '../../../store/job-reads.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';
import { executionId, jobId } from '../../schemas.ts';
import type { RouteApp } from '../app-type.ts';
import { findExecution } from '../executions/find.ts';
import { viewerOf } from '../viewer.ts';
import { createBundleTurns } from './bundle-turns.ts';
import type { ServedLog } from './log.ts';
import { logProblem } from './problem.ts';

const READ = { permission: 'read', mutates: false } as const;
const RETRY_AFTER_S = 1;

/** Beacon bundles: all that `beacon verify` needs, in one file. */
export function registerBundles(app: RouteApp, pool: Pool, findLog: () => Promise<ServedLog>): void {
  const turns = createBundleTurns();
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
      const bundle = await executionBundle(pool, reader, execution.id).catch(logProblem);
      if (bundle === undefined) throw notReady();
      return asBundle(reply, bundle.media_type, execution.id).send(JSON.stringify(bundle));
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
      const signal = gone(reply);
      const pieces = await turns.start(signal, () => jobBundle(pool, reader, job.id)).catch(logProblem);
      if (pieces === undefined) throw notReady();
      return asBundle(reply, JOB_BUNDLE, job.id).send(Readable.from(turns.each(signal, pieces)));
    },
  );
}

function notReady(): ApiError {
  return new ApiError('bundle_not_ready', { retryAfterS: RETRY_AFTER_S });
}

function asBundle(reply: FastifyReply, mediaType: string, name: string): FastifyReply {
  return reply.type(mediaType).header('content-disposition', `attachment; filename="${name}.beacon.json"`);
}

/** Aborted when the client goes away, so that nothing is made for nobody. */
function gone(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => controller.abort(new Error('the client is gone')));
  return controller.signal;
}
