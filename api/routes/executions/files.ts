import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { getBlobPart } from '../../../store/blobs.ts';
import { listFiles } from '../../../store/execution-reads.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';
import { storedBytes, unchanged } from '../../openapi/route-schema.ts';
import { executionId } from '../../schemas.ts';
import type { RouteApp } from '../app-type.ts';
import { isKnown } from '../conditional.ts';
import { findExecution } from './find.ts';

const READ = { permission: 'read', mutates: false } as const;
const HEADERS = ['ETag', 'Cache-Control', 'Content-Disposition'] as const;
const FILE = {
  response: { 200: storedBytes('The bytes; their SHA-256 is the ETag.'), 304: unchanged },
  answerHeaders: { 200: HEADERS, 304: HEADERS },
  errors: ['invalid_execution_id', 'execution_not_found', 'file_not_found'] as const,
};

/** What a program wrote. Strangers wrote it: it is always downloaded, never shown as a page of ours. */
export function registerExecutionFiles(app: RouteApp, pool: Pool): void {
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
      if (row.output_sha256 === null) throw new ApiError('file_not_found');
      return sendBlob(pool, request, reply, row.output_sha256, 'output');
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
      if (file === undefined) throw new ApiError('file_not_found');
      reply.header('content-length', file.size);
      return sendBlob(pool, request, reply, file.sha256, name);
    },
  );
}

async function sendBlob(
  pool: Pool,
  request: FastifyRequest,
  reply: FastifyReply,
  sha256: Buffer,
  name: string,
): Promise<FastifyReply> {
  const first = await getBlobPart(pool, sha256, 0);
  if (first === undefined) throw new ApiError('file_not_found');
  asDownload(reply, name);
  reply.header('cache-control', 'no-cache');
  if (isKnown(request, reply, sha256.toString('hex'))) return reply.code(304).send();
  return reply.send(Readable.from(parts(pool, sha256, first)));
}

async function* parts(pool: Pool, sha256: Buffer, first: Uint8Array): AsyncGenerator<Uint8Array> {
  yield first;
  for (let part = 1; ; part++) {
    const next = await getBlobPart(pool, sha256, part);
    if (next === undefined) return;
    yield next;
  }
}

/** Headers under which no browser runs or shows what a stranger wrote. */
export function asDownload(reply: FastifyReply, name: string): void {
  const base = name
    .split('/')
    .at(-1)!
    .replace(/[^A-Za-z0-9._-]/g, '_');
  reply.headers({
    'content-type': 'application/octet-stream',
    'content-disposition': `attachment; filename="${base}"`,
    'content-security-policy': "sandbox; default-src 'none'",
    'x-content-type-options': 'nosniff',
  });
}
