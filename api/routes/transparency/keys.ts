import { z } from 'zod';
import { listKeys } from '../../../attestation/log/key-list.ts';
import { toHex } from '../../../domain/encoding.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';
import { wholeNumber } from '../../schemas.ts';
import type { RouteApp } from '../app-type.ts';
import { logChoice, type LogFinder } from './log.ts';

const link = z.object({ dsse: z.string(), leaf: z.string(), tlog_proof: z.string() });
const keys = z.object({
  log_id: z.string(),
  origin: z.string(),
  tree_size: z.int(),
  log_keys: z.array(
    z.object({
      vkey: z.string(),
      signs: z.boolean().describe('Whether it signs the checkpoint of this size.'),
      start: link
        .nullable()
        .describe('Its start, under the last checkpoint that the key before it signed; null for the first.'),
    }),
  ),
  receipt_keys: z.array(
    z.object({
      key_id: z.string(),
      action: z.enum(['start', 'end']),
      index: z.int(),
      hashes: z.array(z.string()).describe('Hex; from the leaf to the root of `tree_size` entries.'),
      dsse: z.string(),
      leaf: z.string(),
    }),
  ),
});

/** The keys of the log, as its entries say: what following a new log key and refusing an ended receipt key need. */
export function registerKeys(app: RouteApp, pool: Pool, findLog: LogFinder): void {
  app.get(
    '/api/v1/transparency/keys',
    {
      config: { permission: 'read', mutates: false, anyOrigin: true },
      schema: {
        operationId: 'getLogKeys',
        summary: 'The keys of the log and the entries in which they start and end.',
        description: 'Every web page may read it.',
        tags: ['transparency'],
        querystring: z.object({
          ...logChoice,
          tree_size: wholeNumber(0, Number.MAX_SAFE_INTEGER)
            .optional()
            .describe('What the first so many entries say; default all that are shown.'),
        }),
        response: { 200: keys.describe('Every key, and the proof of each entry about one.') },
        errors: ['log_not_found', 'validation_error', 'not_yet_logged', 'log_damaged'],
      },
    },
    async (request) => {
      const { head, reader } = await findLog(request.query.log_id);
      const shown = (await reader.newestCheckpoint())?.size ?? 0;
      const size = request.query.tree_size ?? shown;
      if (size > shown) throw new ApiError('not_yet_logged', { retryAfterS: 1 });
      const { logKeys, receiptKeys } = await listKeys(pool, reader, size);
      return {
        log_id: head.logId,
        origin: head.origin,
        tree_size: size,
        log_keys: logKeys,
        receipt_keys: receiptKeys.map(({ keyId, action, index, hashes, dsse, leaf }) => ({
          key_id: keyId,
          action,
          index,
          hashes: hashes.map(toHex),
          dsse,
          leaf,
        })),
      };
    },
  );
}
