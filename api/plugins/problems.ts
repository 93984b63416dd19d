import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { LIMITS } from '../../domain/limits.ts';
import type { BusinessEvents } from '../../observability/events.ts';
import { LogDamagedError } from '../../store/log-tiles.ts';
import { DamagedBytes } from '../../store/sound.ts';
import { isUnavailable } from '../../store/unavailable.ts';
import { ApiError, errorBody, MAY_COME, type ErrorCode } from '../errors.ts';
import { declaredLength } from './body.ts';

/** What Fastify itself refuses, in the words of our catalogue. */
const FASTIFY_CODES: Record<string, ErrorCode> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'invalid_content_type',
  FST_ERR_CTP_EMPTY_TYPE: 'invalid_content_type',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'bad_request',
  FST_ERR_BAD_URL: 'bad_request',
};

/** For whoever lost the way (RFC 8631). */
const TO_THE_DOCUMENT = '</docs>; rel="service-doc", </openapi.json>; rel="service-desc"';

/** Set before something went wrong, they would tell of another body. */
const OF_WHAT_WAS_ASKED = [
  'etag',
  'cache-control',
  'content-disposition',
  'content-length',
  'accept-ranges',
  'x-ipfs-path',
  'x-ipfs-roots',
];

/** No text of ours holds a NUL, and PostgreSQL refuses it. */
const NUL = /%00/;

/** Every error leaves through here, in one shape; what we did not foresee is logged whole and answered with a code only. */
export function registerProblems(app: FastifyInstance, events: Pick<BusinessEvents, 'blockDamaged'>): void {
  app.setErrorHandler<FastifyError>((error, request, reply) => {
    if (error instanceof DamagedBytes) events.blockDamaged({ address: error.address });
    return sendProblem(toApiError(error), request, reply);
  });
  app.addHook('onRequest', ({ raw }, _reply, done) => {
    const holdsNul = raw.url !== undefined && NUL.test(raw.url);
    done(holdsNul ? new ApiError('bad_request', { message: 'the URL holds a NUL' }) : undefined);
  });
  app.setNotFoundHandler((request, reply) =>
    sendProblem(new ApiError('not_found'), request, reply.header('link', TO_THE_DOCUMENT)),
  );
}

export function sendProblem(error: ApiError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (error.status >= 500)
    request.log.error(
      { request_id: request.id, err: error.cause ?? error, code: error.code },
      'request failed',
    );
  // A body that nobody will read is thrown away as it comes, so that the client sees this answer; one without a bound
  // would come for ever.
  if (!request.raw.complete && declaredLength(request.headers) > LIMITS.bodyBytes)
    reply.header('connection', 'close');
  // A URL that cannot be read comes here without having met a hook.
  reply.header('x-request-id', request.id);
  if (error.retryAfterS !== undefined) reply.header('retry-after', String(error.retryAfterS));
  if (error.status === 401) reply.header('www-authenticate', 'Bearer');
  for (const name of OF_WHAT_WAS_ASKED) reply.removeHeader(name);
  if (MAY_COME.has(error.code)) reply.header('cache-control', 'no-store');
  return reply
    .code(error.status)
    .type('application/json; charset=utf-8')
    .send(JSON.stringify(errorBody(error, request.id)));
}

/** What the schemas say of a parameter that is not there, or there twice, for whoever wrote the URL. */
function inWords(message: string): string {
  if (message.endsWith('received undefined')) return 'is required';
  return message === 'Invalid input: expected string, received array'
    ? 'stands there more than once'
    : message;
}

export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof LogDamagedError) return new ApiError('log_damaged', { cause: error });
  if (hasZodFastifySchemaValidationErrors(error)) {
    const issues = error.validation.map((issue) => ({
      field: issue.instancePath.replace(/^\//, '').replaceAll('/', '.'),
      message: inWords(issue.message ?? 'invalid'),
    }));
    const [first] = issues;
    return new ApiError('validation_error', {
      ...(first === undefined ? {} : { message: `${first.field}: ${first.message}` }),
      details: { field: first?.field, issues },
    });
  }
  const { code, statusCode } = error as Partial<FastifyError>;
  const known = code === undefined ? undefined : FASTIFY_CODES[code];
  if (known !== undefined) return new ApiError(known);
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500)
    return new ApiError('bad_request');
  if (error instanceof DamagedBytes) return new ApiError('block_damaged', { cause: error });
  return new ApiError(isUnavailable(error) ? 'persistence_unavailable' : 'internal_error', { cause: error });
}
