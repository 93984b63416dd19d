import { z } from 'zod';
import { parseTilePath } from '../../../domain/log/tile.ts';
import { ApiError } from '../../errors.ts';
import type { RouteApp } from '../app-type.ts';
import type { ServedLog } from './log.ts';

const OPEN = { permission: 'read', mutates: false, anyOrigin: true } as const;
/** A tile of a width never changes. */
const IMMUTABLE = 'public, max-age=31536000, immutable';
/** A checkpoint is replaced with every batch. */
const MOMENTARY = 'public, max-age=1';

/** What auditors read (C2SP tlog-tiles): any web page may, so that anybody's browser can audit. */
export function registerTiles(app: RouteApp, findLog: () => Promise<ServedLog>): void {
  app.get(
    '/checkpoint',
    {
      config: OPEN,
      schema: { summary: 'The newest signed checkpoint (C2SP tlog-checkpoint).', tags: ['transparency'] },
    },
    async (_request, reply) => {
      const { reader } = await findLog();
      const checkpoint = await reader.newestCheckpoint();
      if (checkpoint === undefined) throw new ApiError('log_not_found');
      return reply.type('text/plain; charset=utf-8').header('cache-control', MOMENTARY).send(checkpoint.note);
    },
  );
  app.get(
    '/tile/*',
    {
      config: OPEN,
      schema: {
        summary: 'A tile or entry bundle (C2SP tlog-tiles).',
        tags: ['transparency'],
        params: z.object({ '*': z.string() }),
      },
    },
    async (request, reply) => {
      const tile = parseTilePath(`tile/${request.params['*']}`);
      if (tile === undefined) throw new ApiError('tile_not_found');
      const bytes = await (await findLog()).reader.tile(tile);
      if (bytes === undefined) throw new ApiError('tile_not_found');
      return reply
        .type('application/octet-stream')
        .header('cache-control', IMMUTABLE)
        .send(Buffer.from(bytes));
    },
  );
}
