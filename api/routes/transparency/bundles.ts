import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { executionBundle, jobBundle } from '../../../attestation/bundle.ts';
import { ERASURE_BUNDLE, EXECUTION_BUNDLE, JOB_BUNDLE } from '../../../domain/receipt/bundle.ts';
import { getJobState } from '../../../store/job-reads.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';
import * as documents from '../../openapi/documents.ts';
import { stored, unchanged } from '../../openapi/route-schema.ts';
import { executionId, jobId } from '../../schemas.ts';
import type { RouteApp } from '../app-type.ts';
import { isKnown, nameOf } from '../conditional.ts';
import { gone } from '../streamed.ts';
import { findExecution } from '../executions/find.ts';
import { refuseErasedSpec } from '../erased.ts';
import { viewerOf } from '../viewer.ts';
import { createBundleTurns } from './bundle-turns.ts';
import { readerOf, type LogFinder } from './log.ts';
import { logProblem } from './problem.ts';

const READ = { permission: 'read', mutates: false } as const;
const RETRY_AFTER_S = 1;
const HEADERS = ['ETag', 'Cache-Control', 'Content-Disposition'] as const;
const ANSWER_HEADERS = { 200: HEADERS, 304: HEADERS };
const UNDER_THE_NEWEST = 'Its proofs are under the newest checkpoint: another ETag is a newer one.';

/** Beacon bundles: all that `beacon verify` needs, in one file. */
export function registerBundles(app: RouteApp, pool: Pool, findLog: LogFinder): void {
  const turns = createBundleTurns();
  app.get(
    '/api/v1/executions/:id/bundle',
    {
      config: READ,
      schema: {
        operationId: 'getExecutionBundle',
        summary: 'Everything that checking one execution needs.',
        description: UNDER_THE_NEWEST,
        tags: ['transparency'],
        params: executionId,
        response: {
          200: {
            description: 'A file for `beacon verify`; of an execution that was erased, the proof of that.',
            content: {
              ...stored(EXECUTION_BUNDLE, '', documents.executionBundle).content,
              ...stored(ERASURE_BUNDLE, '', documents.erasureBundle).content,
            },
          },
          304: unchanged,
        },
        answerHeaders: ANSWER_HEADERS,
        errors: [
          'invalid_execution_id',
          'execution_not_found',
          'log_not_found',
          'not_yet_logged',
          'bundle_not_ready',
          'log_damaged',
          'block_damaged',
        ],
      },
    },
    async (request, reply) => {
      const execution = await findExecution(pool, request.params.id, request.principal);
      const reader = await readerOf(pool, await findLog(), { executionId: execution.id });
      const bundle = await executionBundle(pool, reader, execution.id).catch(logProblem);
      if (bundle === undefined) throw notReady();
      const text = JSON.stringify(bundle);
      asBundle(reply, bundle.media_type, execution.id);
      if (isKnown(request, reply, nameOf(text))) return reply.code(304).send();
      return reply.send(text);
    },
  );
  app.get(
    '/api/v1/jobs/:id/bundle',
    {
      config: READ,
      schema: {
        operationId: 'getJobBundle',
        summary: 'Everything that checking a whole job needs.',
        description: UNDER_THE_NEWEST,
        tags: ['transparency'],
        params: jobId,
        response: {
          200: stored(JOB_BUNDLE, 'A file for `beacon verify`.', documents.jobBundle),
          304: unchanged,
        },
        answerHeaders: ANSWER_HEADERS,
        errors: [
          'job_not_found',
          'erased',
          'log_not_found',
          'not_yet_logged',
          'bundle_not_ready',
          'bundles_busy',
          'log_damaged',
          'block_damaged',
        ],
      },
    },
    async (request, reply) => {
      const job = await getJobState(pool, request.params.id, viewerOf(request.principal));
      if (job === undefined) throw new ApiError('job_not_found');
      await refuseErasedSpec(pool, job.id);
      const reader = await readerOf(pool, await findLog(), { jobId: job.id });
      const signal = gone(reply);
      const bundle = await turns.start(signal, () => jobBundle(pool, reader, job.id)).catch(logProblem);
      if (bundle === undefined) throw notReady();
      asBundle(reply, JOB_BUNDLE, job.id);
      if (isKnown(request, reply, nameOf(`${job.id}\n${bundle.checkpoint}`))) return reply.code(304).send();
      return reply.send(Readable.from(turns.each(signal, bundle.pieces)));
    },
  );
}

function notReady(): ApiError {
  return new ApiError('bundle_not_ready', { retryAfterS: RETRY_AFTER_S });
}

function asBundle(reply: FastifyReply, mediaType: string, name: string): FastifyReply {
  return reply.type(mediaType).headers({
    'content-disposition': `attachment; filename="${name}.beacon.json"`,
    'cache-control': 'no-cache',
  });
}
