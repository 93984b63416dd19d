import { z } from 'zod';
import { getBlob } from '../../../store/blobs.ts';
import { findCid, getBlock, type CidRow } from '../../../store/log-reads.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';
import type { RouteApp } from '../app-type.ts';
import { asDownload } from '../executions/files.ts';
import { viewerOf } from '../viewer.ts';

/** The bytes of a CID never change, but what is erased must leave caches in time. */
const MAX_AGE_S = 3_600;

/** The bytes that a CID names: receipts, envelopes, summaries, manifests and files that fit one block. */
export function registerBlocks(app: RouteApp, pool: Pool): void {
  app.get(
    '/api/v1/transparency/bundles/:cid',
    {
      config: { permission: 'read', mutates: false },
      schema: {
        summary: 'The bytes of a CID; their SHA-256 is the CID.',
        tags: ['transparency'],
        params: z.object({ cid: z.string() }),
      },
    },
    async (request, reply) => {
      const { cid } = request.params;
      const found = await findCid(pool, cid, viewerOf(request.principal));
      const bytes = found && (await bytesOf(pool, found));
      if (found === undefined || bytes === undefined) throw new ApiError('bundle_not_found');
      const isJson = found.kind !== 'file';
      asDownload(reply, `${cid}${isJson ? '.json' : '.bin'}`, cid);
      if (isJson) reply.type('application/json; charset=utf-8');
      const shared = request.principal.kind === 'anonymous' ? 'public' : 'private';
      reply.header('cache-control', `${shared}, max-age=${MAX_AGE_S}`);
      if (request.headers['if-none-match'] === `"${cid}"`) return reply.code(304).send();
      return reply.send(Buffer.from(bytes));
    },
  );
}

function bytesOf(pool: Pool, { kind, digest }: CidRow): Promise<Uint8Array | undefined> {
  return kind === 'file' ? getBlob(pool, digest) : getBlock(pool, digest);
}
