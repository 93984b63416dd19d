import { z } from 'zod';
import { narrowed, type Pool } from '../../../store/pool.ts';
import { wholeNumber } from '../../schemas.ts';
import { stored, unchanged } from '../../openapi/route-schema.ts';
import type { RouteApp } from '../app-type.ts';
import { isKnown } from '../conditional.ts';
import { prefersText } from '../negotiate.ts';
import { viewerOf } from '../viewer.ts';
import { LOG_CONNECTIONS, logChoice, type LogFinder } from './log.ts';
import { proof } from './proof-answer.ts';
import { createProofs } from './proofs.ts';

/** Longer than an entry ever takes while the log is well; shorter than any proxy's patience. */
const MAX_WAIT_S = 5;

const query = z.object({
  ...logChoice,
  index: wholeNumber(0, Number.MAX_SAFE_INTEGER).optional(),
  execution_id: z.string().optional(),
  ipfs_cid: z.string().max(128).optional().describe('Of a receipt; that of a job summary does too.'),
  tree_size: wholeNumber(1, Number.MAX_SAFE_INTEGER)
    .optional()
    .describe('Size of the checkpoint to prove under; default the newest.'),
  wait: wholeNumber(0, MAX_WAIT_S).optional().describe('Seconds to wait for an entry that is not there yet.'),
});

/** Inclusion proofs by entry, execution or CID; what several of them name must be one entry. */
export function registerProof(app: RouteApp, pool: Pool, findLog: LogFinder): void {
  const proofOf = createProofs(narrowed(pool, LOG_CONNECTIONS), findLog);
  app.get(
    '/api/v1/transparency/proof',
    {
      config: { permission: 'read', mutates: false, anyOrigin: true, ownersToo: true },
      schema: {
        operationId: 'getProof',
        summary: 'That an entry is in the log, under a checkpoint.',
        description:
          'Several parameters must name one entry. With `Accept: text/plain` the answer is the `tlog_proof` alone. Every web page may read it.',
        tags: ['transparency'],
        querystring: query,
        response: {
          200: {
            description: 'An inclusion proof (RFC 6962).',
            content: {
              ...stored('application/json', '', proof).content,
              ...stored('text/plain', '').content,
            },
          },
          304: unchanged,
        },
        answerHeaders: { 200: ['ETag', 'Cache-Control'], 304: ['ETag', 'Cache-Control'] },
        errors: [
          'validation_error',
          'invalid_execution_id',
          'proof_subject_missing',
          'proof_subjects_disagree',
          'proof_not_found',
          'checkpoint_not_found',
          'not_yet_logged',
          'cid_is_bundle',
          'log_not_found',
          'log_damaged',
        ],
      },
    },
    async (request, reply) => {
      const { log_id: logId, index, execution_id: execution, ipfs_cid: cid, wait = 0 } = request.query;
      const answer = await proofOf(
        {
          logId,
          index,
          execution: execution === '' ? undefined : execution,
          cid: cid === '' ? undefined : cid,
          waitS: wait,
          viewer: viewerOf(request.principal),
        },
        request.query.tree_size,
      );
      const isText = prefersText(request.headers.accept);
      const { body, name } = isText ? answer.text : answer.json;
      reply.headers({ vary: 'Accept', 'cache-control': 'no-cache' });
      if (isKnown(request, reply, name)) return reply.code(304).send();
      return reply.type(isText ? 'text/plain; charset=utf-8' : 'application/json; charset=utf-8').send(body);
    },
  );
}
