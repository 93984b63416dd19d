import type { FastifyReply, FastifyRequest } from 'fastify';
import type { StoredFile } from '../../attestation/blocks/stored-file.ts';
import type { BusinessEvents } from '../../observability/events.ts';
import { ApiError } from '../errors.ts';
import { isKnown } from './conditional.ts';
import { sendPieces } from './streamed.ts';

const ONE_RANGE = /^bytes=(\d{0,15})-(\d{0,15})$/;

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

export interface Download {
  file: StoredFile;
  name: string;
  /** Names these bytes for ever. */
  etag: string;
  cacheControl: string;
}

/** Sends a file to be saved, or the range of it that was asked for (RFC 9110 §14; one range, else the whole). */
export async function sendDownload(
  request: FastifyRequest,
  reply: FastifyReply,
  { file, name, etag, cacheControl }: Download,
  events: Pick<BusinessEvents, 'blockDamaged'>,
): Promise<FastifyReply> {
  asDownload(reply, name);
  reply.headers({ 'cache-control': cacheControl, 'accept-ranges': 'bytes' });
  if (isKnown(request, reply, etag)) return reply.code(304).send();
  const range = rangeOf(request, reply, file.size, etag);
  if (range !== undefined)
    reply.code(206).header('content-range', `bytes ${range.from}-${range.to - 1}/${file.size}`);
  const { from, to } = range ?? { from: 0, to: file.size };
  reply.header('content-length', to - from);
  return sendPieces(request, reply, file.read(from, to), events);
}

/** The bytes from `from` up to and without `to`; undefined: all of them. */
function rangeOf(
  request: FastifyRequest,
  reply: FastifyReply,
  size: number,
  etag: string,
): { from: number; to: number } | undefined {
  const condition = request.headers['if-range'];
  if (condition !== undefined && condition !== `"${etag}"`) return undefined;
  const [, first = '', last = ''] = ONE_RANGE.exec(request.headers.range ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  const from = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const to = first === '' || last === '' ? size : Math.min(size, Number(last) + 1);
  if (first !== '' && last !== '' && Number(last) < from) return undefined;
  if (from >= size) {
    reply.header('content-range', `bytes */${size}`);
    throw new ApiError('range_not_satisfiable', { details: { size } });
  }
  return { from, to };
}
