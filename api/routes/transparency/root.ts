import { z } from 'zod';
import { readVkeys } from '../../../attestation/log/signers.ts';
import { toHex } from '../../../domain/encoding.ts';
import { readLogTime } from '../../../store/log-reads.ts';
import type { Pool } from '../../../store/pool.ts';
import type { RouteApp } from '../app-type.ts';
import { logChoice, type LogFinder } from './log.ts';

const root = z.object({
  merkle_root: z.string(),
  root: z.string(),
  root_hash: z.string(),
  sequence: z.int().describe('Number of entries under the root.'),
  tree_size: z.int(),
  updated_at: z.iso.datetime().nullable(),
  log_id: z.string(),
  origin: z.string(),
  vkey: z.string().nullable().describe('The newest verifier key of the checkpoints; null before the first.'),
  vkeys: z
    .array(z.string())
    .describe('All keys that sign the checkpoint: two while one takes over from another.'),
  checkpoint: z.string().nullable().describe('The signed note; null before the first entry.'),
  rollback_guard: z
    .enum(['file', 'none'])
    .nullable()
    .describe('What remembers the signed head outside the database; null before the first.'),
});

export function registerRoot(app: RouteApp, pool: Pool, findLog: LogFinder): void {
  app.get(
    '/api/v1/transparency/root',
    {
      config: { permission: 'read', mutates: false, anyOrigin: true },
      schema: {
        operationId: 'getLogRoot',
        summary: 'The head of the log.',
        description: 'Every web page may read it.',
        tags: ['transparency'],
        querystring: z.object(logChoice),
        response: {
          200: root.describe('The newest signed root; that of the empty log before the first entry.'),
        },
        errors: ['log_not_found', 'validation_error'],
      },
    },
    async (request) => {
      const { head, reader } = await findLog(request.query.log_id);
      const checkpoint = await reader.newestCheckpoint();
      const size = checkpoint?.size ?? 0;
      const hash = toHex(checkpoint?.root ?? head.root);
      const vkeys = await readVkeys(pool, head.logId, size);
      const updated = checkpoint?.signedAt ?? (await readLogTime(pool, head.logId));
      return {
        merkle_root: hash,
        root: hash,
        root_hash: hash,
        sequence: size,
        tree_size: size,
        updated_at: updated?.toISOString() ?? null,
        log_id: head.logId,
        origin: head.origin,
        vkey: vkeys.at(-1) ?? null,
        vkeys,
        checkpoint: checkpoint?.note ?? null,
        rollback_guard: head.rollbackGuard,
      };
    },
  );
}
