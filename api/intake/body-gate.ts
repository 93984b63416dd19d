import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify';
import { LIMITS } from '../../domain/limits.ts';
import { ApiError } from '../errors.ts';
import { declaredLength } from '../plugins/body.ts';
import { network, type FailureLimit } from './failure-limit.ts';
import { createLargeBodies, type Place } from './large-bodies.ts';

const RETRY_AFTER_S = 2;

/**
 * Decides before a body is read whether to read it: not of an address that failed too often, and a large one only when
 * there is room for it. A body that is refused is never held (see `sendProblem` for what becomes of it).
 */
export function createBodyGate(failureLimit: FailureLimit, largeBodies = createLargeBodies()) {
  const places = new WeakMap<IncomingMessage, Place>();

  function refusal(request: FastifyRequest, reply: FastifyReply): ApiError | undefined {
    const waitS = failureLimit.blocked(request.ip);
    if (waitS !== undefined) return new ApiError('rate_limit_exceeded', { retryAfterS: waitS });
    const length = declaredLength(request.headers);
    // What is larger than any body may be is answered 413 without being read.
    if (length <= LIMITS.specVerifiedInlineBytes || (length > LIMITS.bodyBytes && length !== Infinity))
      return undefined;
    const place = largeBodies.take(network(request.ip));
    if (place === undefined) return new ApiError('intake_busy', { retryAfterS: RETRY_AFTER_S });
    places.set(request.raw, place);
    // Whoever takes it over releases it; else it goes with the connection or the answer.
    reply.raw.once('close', () => places.get(request.raw)?.release());
    return undefined;
  }

  return {
    onRequest(request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void {
      done(refusal(request, reply));
    },
    /** The place of a large body, which the caller now holds until the body is answered, connection or not. */
    takeOver(request: FastifyRequest): Place | undefined {
      const place = places.get(request.raw);
      places.delete(request.raw);
      return place;
    },
  };
}
