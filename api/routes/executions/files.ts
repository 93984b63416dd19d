import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { openStoredFile } from '../../../attestation/blocks/stored-file.ts';
import type { BusinessEvents } from '../../../observability/events.ts';
import { listFiles } from '../../../store/execution-reads.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';
import { storedBytes, unchanged } from '../../openapi/route-schema.ts';
import { executionId } from '../../schemas.ts';
import type { RouteApp } from '../app-type.ts';
import { sendDownload } from '../download.ts';
import { refuseErased } from '../erased.ts';
import { findExecution } from './find.ts';

const READ = { permission: 'read', mutates: false } as const;
const HEADERS = ['ETag', 'Cache-Control', 'Content-Disposition'] as const;
const FILE = {
  response: {
    200: storedBytes('The bytes; their SHA-256 is the ETag.'),
    206: storedBytes('The range that was asked for.'),
    304: unchanged,
  },
  answerHeaders: { 200: HEADERS, 206: HEADERS, 304: HEADERS },
  errors: [
    'invalid_execution_id',
    'execution_not_found',
    'file_not_found',
    'erased',
    'range_not_satisfiable',
    'block_damaged',
  ] as const,
};

interface FileDeps {
  pool: Pool;
  events: Pick<BusinessEvents, 'blockDamaged'>;
}

/** What a program wrote. Strangers wrote it: it is always downloaded, never shown as a page of ours. */
export function registerExecutionFiles(app: RouteApp, deps: FileDeps): void {
  const { pool } = deps;
  app.get(
    '/api/v1/executions/:id/output',
    {
      config: READ,
      schema: {
        operationId: 'getOutput',
        summary: "The program's output.",
        tags: ['executions'],
        params: executionId,
        ...FILE,
      },
    },
    async (request, reply) => {
      const row = await findExecution(pool, request.params.id, request.principal);
      if (row.output_sha256 === null) await refuseErased(pool, row.id);
      if (row.output_sha256 === null) throw new ApiError('file_not_found');
      return sendFile(deps, request, reply, { sha256: row.output_sha256, cid: null, name: 'output' });
    },
  );
  app.get(
    '/api/v1/executions/:id/files/*',
    {
      config: READ,
      schema: {
        operationId: 'getFile',
        summary: 'A file of the output folder.',
        tags: ['executions'],
        params: executionId.extend({ '*': z.string().describe('Its path in that folder.') }),
        ...FILE,
      },
    },
    async (request, reply) => {
      const row = await findExecution(pool, request.params.id, request.principal);
      const name = request.params['*'];
      const file = (await listFiles(pool, row.id, row.attempt)).find((candidate) => candidate.name === name);
      if (file === undefined) await refuseErased(pool, row.id);
      if (file === undefined) throw new ApiError('file_not_found');
      return sendFile(deps, request, reply, file);
    },
  );
}

async function sendFile(
  { pool, events }: FileDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  { sha256, cid, name }: { sha256: Buffer; cid: string | null; name: string },
): Promise<FastifyReply> {
  const file = await openStoredFile(pool, sha256, cid);
  if (file === undefined) throw new ApiError('file_not_found');
  const download = { file, name, etag: sha256.toString('hex'), cacheControl: 'no-cache' };
  return sendDownload(request, reply, download, events);
}
