import { z } from 'zod';
import { toHex } from '../../../domain/encoding.ts';
import { LIMITS } from '../../../domain/limits.ts';
import { listCosignatures } from '../../../store/log-cosignatures.ts';
import { listCheckpoints } from '../../../store/log-tiles.ts';
import type { Pool } from '../../../store/pool.ts';
import { lenientInt, wholeNumber } from '../../schemas.ts';
import type { RouteApp } from '../app-type.ts';
import { cosignature, cosignatureView } from './cosigned.ts';
import { logChoice, type LogFinder } from './log.ts';

const DEFAULT_CHECKPOINTS = 50;
const MAX_SIZE = Number.MAX_SAFE_INTEGER;

const page = z.object({
  log_id: z.string(),
  origin: z.string(),
  checkpoints: z.array(
    z.object({
      tree_size: z.int(),
      root: z.string().describe('Hex.'),
      signed_at: z.iso.datetime().describe("The log's own word, not signed."),
      checkpoint: z.string().describe('The signed note.'),
      cosignatures: z.array(cosignature),
    }),
  ),
  next_before: z.int().nullable().describe('`before` of the next page; null on the last.'),
});

/** The heads that the log signed: what somebody kept can be found again, and two can be held against each other. */
export function registerCheckpoints(app: RouteApp, pool: Pool, findLog: LogFinder): void {
  app.get(
    '/api/v1/transparency/checkpoints',
    {
      config: { permission: 'read', mutates: false, anyOrigin: true },
      schema: {
        operationId: 'listCheckpoints',
        summary: 'Signed checkpoints, newest first.',
        description: 'Every web page may read it. Not every size has one, and old ones may be thinned out.',
        tags: ['transparency'],
        querystring: z.object({
          ...logChoice,
          limit: lenientInt(1, LIMITS.pageRows, DEFAULT_CHECKPOINTS),
          before: wholeNumber(1, MAX_SIZE).optional().describe('Only checkpoints of fewer entries.'),
        }),
        response: { 200: page.describe('A page; `next_before` is null on the last.') },
        errors: ['validation_error', 'log_not_found'],
      },
    },
    async (request) => {
      const { log_id: logId, limit, before } = request.query;
      const { head } = await findLog(logId);
      const rows = await listCheckpoints(pool, head.logId, { below: before, limit: limit + 1 });
      const shown = rows.slice(0, limit);
      const cosignatures = await listCosignatures(
        pool,
        head.logId,
        shown.map(({ size }) => size),
      );
      return {
        log_id: head.logId,
        origin: head.origin,
        checkpoints: shown.map(({ size, root, note, signedAt }) => ({
          tree_size: size,
          root: toHex(root),
          signed_at: signedAt.toISOString(),
          checkpoint: note,
          cosignatures: (cosignatures.get(size) ?? []).map(cosignatureView),
        })),
        next_before: rows.length > limit ? shown.at(-1)!.size : null,
      };
    },
  );
}
