import { z } from 'zod';
import { getBlob } from '../../../store/blobs.ts';
import { findCid, getBlock, type CidRow } from '../../../store/log-reads.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';
import { stored, unchanged } from '../../openapi/route-schema.ts';
import type { RouteApp } from '../app-type.ts';
import { isKnown } from '../conditional.ts';
import { asDownload } from '../executions/files.ts';
import { viewerOf } from '../viewer.ts';

/** The bytes of a CID never change, but what is erased must leave caches in time. */
const MAX_AGE_S = 3_600;

const HEADERS = ['ETag', 'Cache-Control', 'Content-Disposition'] as const;

/** The bytes that a CID names: receipts, envelopes, summaries, manifests and files that fit one block. */
export function registerBlocks(app: RouteApp, pool: Pool): void {
  app.get(
    '/api/v1/transparency/bundles/:cid',
    {
      config: { permission: 'read', mutates: false },
      schema: {
        operationId: 'getBlock',
        summary: 'The bytes of a CID; their SHA-256 is the CID.',
        description:
          'Receipts, their envelopes, job summaries and manifests are JSON; a file of an execution is served as bytes.',
        tags: ['transparency'],
        params: z.object({ cid: z.string().describe('CIDv1, `bafkrei…`.') }),
        response: {
          200: {
            description: 'The bytes.',
            content: {
              ...stored('application/json', '', z.unknown()).content,
              ...stored('application/octet-stream', '', z.unknown()).content,
            },
          },
          304: unchanged,
        },
        answerHeaders: { 200: HEADERS, 304: HEADERS },
        errors: ['bundle_not_found'],
      },
    },
    async (request, reply) => {
      const { cid } = request.params;
      const found = await findCid(pool, cid, viewerOf(request.principal));
      const bytes = found && (await bytesOf(pool, found));
      if (found === undefined || bytes === undefined) throw new ApiError('bundle_not_found');
      const isJson = found.kind !== 'file';
      asDownload(reply, `${cid}${isJson ? '.json' : '.bin'}`);
      if (isJson) reply.type('application/json; charset=utf-8');
      const shared = request.principal.kind === 'anonymous' ? 'public' : 'private';
      reply.header('cache-control', `${shared}, max-age=${MAX_AGE_S}`);
      if (isKnown(request, reply, cid)) return reply.code(304).send();
      return reply.send(Buffer.from(bytes));
    },
  );
}

function bytesOf(pool: Pool, { kind, digest }: CidRow): Promise<Uint8Array | undefined> {
  return kind === 'file' ? getBlob(pool, digest) : getBlock(pool, digest);
}
