import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { ApiError } from '../errors.ts';
import { JsonError } from '../../domain/json/error.ts';
import { toPlain } from '../../domain/json/node.ts';
import { parseStrictJson } from '../../domain/json/parse.ts';

/**
 * A body is kept as the bytes that came, because a signature covers them; a route that wants its meaning asks
 * `readJson`. Anything but JSON is refused, compressed bytes before they are read.
 */
export function registerBodies(app: FastifyInstance): void {
  app.addHook('onRequest', ({ headers }, reply, done) => {
    const encoding = headers['content-encoding'];
    const asItIs = encoding === undefined || /^(identity)?$/i.test(encoding) || declaredLength(headers) === 0;
    // What would be taken (RFC 9110 section 15.5.16).
    if (!asItIs) reply.header('accept-encoding', 'identity');
    done(asItIs ? undefined : new ApiError('unsupported_content_encoding'));
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  );
}

/** The bytes of a request's body; none when it has no body. */
export function rawBody(body: unknown): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0);
}

/** Bytes of a body as its head says; Infinity where it does not, 0 without a body. */
export function declaredLength(headers: IncomingHttpHeaders): number {
  if (headers['transfer-encoding'] !== undefined) return Infinity;
  return Number(headers['content-length'] ?? 0);
}

/** The plain value of a body, undefined when there is none. */
export function readJson(body: unknown): unknown {
  const raw = rawBody(body);
  if (raw.length === 0) return undefined;
  try {
    return toPlain(parseStrictJson(raw));
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw invalidJson(error);
  }
}

export function invalidJson(error: JsonError): ApiError {
  return new ApiError('invalid_json', {
    message: `the body is not valid JSON: ${error.message}`,
    details: { reason: error.code, field: error.path, offset: error.offset },
    cause: error,
  });
}
