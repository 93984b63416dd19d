import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { parseTilePath } from '../../../domain/log/tile.ts';
import { ApiError } from '../../errors.ts';
import { stored, storedBytes, unchanged } from '../../openapi/route-schema.ts';
import type { RouteApp } from '../app-type.ts';
import { isKnown, nameOf } from '../conditional.ts';
import { cosigned } from './cosigned.ts';
import { logParams, logPath, type LogFinder } from './log.ts';

const OPEN = { permission: 'read', mutates: false, anyOrigin: true } as const;
/** A tile of a width never changes. */
const IMMUTABLE = 'public, max-age=31536000, immutable';
/** A checkpoint is replaced with every batch. */
const MOMENTARY = 'public, max-age=1';

/**
 * What auditors read (C2SP tlog-tiles): any web page may, so that anybody's browser can audit. The log that grows stands at
 * the root; below its id every log stays where it is, also after it was closed.
 */
export function registerTiles(app: RouteApp, findLog: LogFinder): void {
  const checkpointOf = {
    tags: ['transparency'],
    response: {
      200: stored(
        'text/plain',
        'A signed note: origin, size, root, signatures of the log and its cosigners.',
      ),
    },
    answerHeaders: { 200: ['Cache-Control'] },
    errors: ['log_not_found'],
  } as const;
  const sendCheckpoint = async (reply: FastifyReply, logId?: string) => {
    const { checkpoint, cosignatures } = await findLog(logId);
    if (checkpoint === undefined) throw new ApiError('log_not_found');
    return reply
      .type('text/plain; charset=utf-8')
      .header('cache-control', MOMENTARY)
      .send(cosigned(checkpoint.note, cosignatures));
  };
  app.get(
    '/checkpoint',
    {
      config: OPEN,
      schema: {
        operationId: 'getCheckpoint',
        summary: 'The newest signed checkpoint (C2SP tlog-checkpoint).',
        description: 'Every web page may read it.',
        ...checkpointOf,
      },
    },
    (_request, reply) => sendCheckpoint(reply),
  );
  app.get(
    `${logPath(':log_id')}/checkpoint`,
    {
      config: OPEN,
      schema: {
        operationId: 'getCheckpointOfLog',
        summary: 'The newest, or last, signed checkpoint of a log.',
        description: 'Every web page may read it. A closed log has one for ever.',
        params: logParams,
        ...checkpointOf,
      },
    },
    (request, reply) => sendCheckpoint(reply, request.params.log_id),
  );

  const tileOf = {
    tags: ['transparency'],
    response: {
      200: storedBytes('Hashes of 32 bytes, or entries with a length of two bytes before each.'),
      304: unchanged,
    },
    answerHeaders: { 200: ['ETag', 'Cache-Control'], 304: ['ETag', 'Cache-Control'] },
    errors: ['tile_not_found', 'log_not_found', 'log_damaged'],
  } as const;
  const rest = z.string().describe('`<level>/<index>[.p/<width>]`, or `entries/<index>[.p/<width>]`.');
  const sendTile = async (request: FastifyRequest, reply: FastifyReply, path: string, logId?: string) => {
    const tile = parseTilePath(`tile/${path}`);
    if (tile === undefined) throw new ApiError('tile_not_found');
    const { reader, checkpoint } = await findLog(logId);
    const bytes = await reader.tile(tile, checkpoint?.size ?? 0);
    if (bytes === undefined) throw new ApiError('tile_not_found');
    reply.type('application/octet-stream').header('cache-control', IMMUTABLE);
    if (isKnown(request, reply, nameOf(bytes))) return reply.code(304).send();
    return reply.send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  };
  app.get(
    '/tile/*',
    {
      config: OPEN,
      schema: {
        operationId: 'getTile',
        summary: 'A tile or entry bundle (C2SP tlog-tiles).',
        description: 'Every web page may read it. A tile of a width never changes.',
        params: z.object({ '*': rest }),
        ...tileOf,
      },
    },
    (request, reply) => sendTile(request, reply, request.params['*']),
  );
  app.get(
    `${logPath(':log_id')}/tile/*`,
    {
      config: OPEN,
      schema: {
        operationId: 'getTileOfLog',
        summary: 'A tile or entry bundle of a log.',
        description: 'Every web page may read it. A tile of a width never changes.',
        params: logParams.extend({ '*': rest }),
        ...tileOf,
      },
    },
    (request, reply) => sendTile(request, reply, request.params['*'], request.params.log_id),
  );
}
