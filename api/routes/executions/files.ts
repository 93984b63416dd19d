import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { getBlobPart } from '../../../store/blobs.ts';
import { listFiles } from '../../../store/execution-reads.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';
import { executionId } from '../../schemas.ts';
import type { RouteApp } from '../app-type.ts';
import { findExecution } from './find.ts';

const READ = { permission: 'read', mutates: false } as const;

/** What a program wrote. Strangers wrote it: it is always downloaded, never shown as a page of ours. */
export function registerExecutionFiles(app: RouteApp, pool: Pool): void {
  app.get(
    '/api/v1/executions/:id/output',
    {
      config: READ,
      schema: { summary: "The program's output.", tags: ['executions'], params: executionId },
    },
    async (request, reply) => {
      const row = await findExecution(pool, request.params.id, request.principal);
      if (row.output_sha256 === null) throw new ApiError('file_not_found');
      return sendBlob(pool, reply, row.output_sha256, 'output');
    },
  );
  app.get(
    '/api/v1/executions/:id/files/*',
    {
      config: READ,
      schema: {
        summary: 'A file of the output folder.',
        tags: ['executions'],
        params: executionId.extend({ '*': z.string() }),
      },
    },
    async (request, reply) => {
      const row = await findExecution(pool, request.params.id, request.principal);
      const name = request.params['*'];
      const file = (await listFiles(pool, row.id, row.attempt)).find((candidate) => candidate.name === name);
      if (file === undefined) throw new ApiError('file_not_found');
      reply.header('content-length', file.size);
      return sendBlob(pool, reply, file.sha256, name);
    },
  );
}

async function sendBlob(
  pool: Pool,
  reply: FastifyReply,
  sha256: Buffer,
  name: string,
): Promise<FastifyReply> {
  const first = await getBlobPart(pool, sha256, 0);
  if (first === undefined) throw new ApiError('file_not_found');
  asDownload(reply, name, sha256.toString('hex'));
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
export function asDownload(reply: FastifyReply, name: string, etag: string): void {
  const base = name
    .split('/')
    .at(-1)!
    .replace(/[^A-Za-z0-9._-]/g, '_');
  reply.headers({
    'content-type': 'application/octet-stream',
    'content-disposition': `attachment; filename="${base}"`,
    'content-security-policy': "sandbox; default-src 'none'",
    'x-content-type-options': 'nosniff',
    etag: `"${etag}"`,
  });
}
