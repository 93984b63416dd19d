import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';

const ENTITY_TAG = /(?:W\/)?("[\x21\x23-\x7e\x80-\xff]*")/g;

/**
 * Names the answer and tells whether the client has it already (RFC 9110 §13.1.2); the caller then sends 304 without a
 * body. `name` never means other bytes: a CID, a hash.
 */
export function isKnown(request: FastifyRequest, reply: FastifyReply, name: string): boolean {
  const etag = `"${name}"`;
  reply.header('etag', etag);
  const given = request.headers['if-none-match'];
  if (given === undefined || !names(given, etag)) return false;
  // They tell of a body, and none follows.
  reply.removeHeader('content-type').removeHeader('content-length');
  return true;
}

function names(given: string, etag: string): boolean {
  return given.trim() === '*' || [...given.matchAll(ENTITY_TAG)].some(([, tag]) => tag === etag);
}

/** A name for bytes that have none of their own. */
export function nameOf(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
