import { CID } from 'multiformats/cid';
import { z } from 'zod';
import { readBlock } from '../../../attestation/blocks/read-block.ts';
import { openStoredFile, type StoredFile } from '../../../attestation/blocks/stored-file.ts';
import type { BusinessEvents } from '../../../observability/events.ts';
import { findCid, getBlock, type CidRow } from '../../../store/log-reads.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';
import { stored, storedBytes, unchanged } from '../../openapi/route-schema.ts';
import type { RouteApp } from '../app-type.ts';
import { isKnown } from '../conditional.ts';
import { asDownload, sendDownload } from '../download.ts';
import { refuseErasedCid } from '../erased.ts';
import { viewerOf } from '../viewer.ts';

/** The bytes of a CID never change, but what is erased must leave caches in time. */
const MAX_AGE_S = 3_600;

/** What we wrote ourselves, in JSON. */
const DOCUMENTS: ReadonlySet<CidRow['kind']> = new Set(['receipt', 'dsse', 'summary', 'manifest']);

const HEADERS = ['ETag', 'Cache-Control', 'Content-Disposition'] as const;

/** The bytes that a CID names: receipts, envelopes, summaries, manifests and files of any size. */
export function registerBlocks(
  app: RouteApp,
  { pool, events }: { pool: Pool; events: Pick<BusinessEvents, 'blockDamaged'> },
): void {
  app.get(
    '/api/v1/transparency/bundles/:cid',
    {
      config: { permission: 'read', mutates: false },
      schema: {
        operationId: 'getBlock',
        summary: 'The document or the file that a CID names.',
        description:
          'Receipts, their envelopes, job summaries and manifests are JSON; a file of an execution is served as bytes, also by ranges.',
        tags: ['transparency'],
        params: z.object({
          cid: z.string().describe('CIDv1, `bafkrei…` or, of a file above 1 MiB, `bafybei…`.'),
        }),
        response: {
          200: {
            description: 'The bytes.',
            content: {
              ...stored('application/json', '', z.unknown()).content,
              ...stored('application/octet-stream', '', z.unknown()).content,
            },
          },
          206: storedBytes('The range of a file that was asked for.'),
          304: unchanged,
        },
        answerHeaders: { 200: HEADERS, 206: HEADERS, 304: HEADERS },
        errors: ['bundle_not_found', 'erased', 'range_not_satisfiable', 'block_damaged'],
      },
    },
    async (request, reply) => {
      const { cid } = request.params;
      const found = await findCid(pool, cid, viewerOf(request.principal));
      if (found === undefined) {
        await refuseErasedCid(pool, cid, viewerOf(request.principal));
        throw new ApiError('bundle_not_found');
      }
      const shared = request.principal.kind === 'anonymous' ? 'public' : 'private';
      const cacheControl = `${shared}, max-age=${MAX_AGE_S}`;
      if (!DOCUMENTS.has(found.kind)) {
        const file = await openFile(pool, found);
        if (file === undefined) throw new ApiError('bundle_not_found', onlyByGateway(found));
        const download = { file, name: `${cid}.bin`, etag: cid, cacheControl };
        return sendDownload(request, reply, download, events);
      }
      const bytes = await getBlock(pool, found.digest);
      if (bytes === undefined) throw new ApiError('bundle_not_found');
      asDownload(reply, `${cid}.json`);
      reply.type('application/json; charset=utf-8').header('cache-control', cacheControl);
      if (isKnown(request, reply, cid)) return reply.code(304).send();
      return reply.send(bytes);
    },
  );
}

async function openFile(pool: Pool, { cid, kind, digest }: CidRow): Promise<StoredFile | undefined> {
  if (kind === 'file') return openStoredFile(pool, digest, cid);
  if (kind !== 'leaf') return undefined;
  const bytes = (await readBlock(pool, CID.parse(cid)))?.bytes;
  return (
    bytes && {
      size: bytes.length,
      async *read(from, to) {
        yield bytes.subarray(from, to);
      },
    }
  );
}

function onlyByGateway({ cid, kind }: CidRow): { message?: string } {
  return kind === 'directory' ? { message: `this is a directory: ask for /ipfs/${cid}?format=car` } : {};
}
