import { z } from 'zod';
import { toHex } from '../../../domain/encoding.ts';
import { ApiError } from '../../errors.ts';
import { wholeNumber } from '../../schemas.ts';
import type { RouteApp } from '../app-type.ts';
import { logChoice, type LogFinder } from './log.ts';

/** Which tree begins with which never changes. */
const IMMUTABLE = 'public, max-age=31536000, immutable';

const size = wholeNumber(0, Number.MAX_SAFE_INTEGER);
const hex = z.string().describe('Hex.');
const consistency = z.object({
  log_id: z.string(),
  from: z.int(),
  to: z.int(),
  from_root: hex,
  to_root: hex,
  hashes: z
    .array(hex)
    .describe('As RFC 9162 section 2.1.4 has them; none when the sizes are equal, or `from` is 0.'),
});

/** Proofs that the log only grew, between any two sizes that were ever shown. */
export function registerConsistency(app: RouteApp, findLog: LogFinder): void {
  app.get(
    '/api/v1/transparency/consistency',
    {
      config: { permission: 'read', mutates: false, anyOrigin: true },
      schema: {
        operationId: 'getConsistency',
        summary: 'That the log of one size begins with that of a smaller one.',
        description:
          'Every web page may read it. The roots are those of our tiles: compare them with checkpoints.',
        tags: ['transparency'],
        querystring: z.object({
          ...logChoice,
          from: size.describe('Entries of the older tree.'),
          to: size.optional().describe('Entries of the newer tree; default all that are shown.'),
        }),
        response: { 200: consistency.describe('A consistency proof (RFC 6962).') },
        answerHeaders: { 200: ['Cache-Control'] },
        errors: ['validation_error', 'size_beyond_log', 'log_not_found', 'log_damaged'],
      },
    },
    async (request, reply) => {
      const { from, to: asked } = request.query;
      const { head, reader, checkpoint } = await findLog(request.query.log_id);
      const shown = checkpoint?.size ?? 0;
      const to = asked ?? shown;
      if (Math.max(from, to) > shown)
        throw new ApiError('size_beyond_log', { details: { tree_size: shown } });
      if (from > to) {
        throw new ApiError('validation_error', {
          message: 'from: must not be larger than to',
          details: { field: 'from' },
        });
      }
      const [fromRoot, toRoot, hashes] = await Promise.all([
        reader.rootAt(from),
        reader.rootAt(to),
        from === 0 ? [] : reader.consistencyProof(from, to),
      ]);
      reply.header('cache-control', asked === undefined ? 'no-cache' : IMMUTABLE);
      return {
        log_id: head.logId,
        from,
        to,
        from_root: toHex(fromRoot),
        to_root: toHex(toRoot),
        hashes: hashes.map(toHex),
      };
    },
  );
}
