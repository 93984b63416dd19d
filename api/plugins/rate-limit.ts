import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance } from 'fastify';
import { ApiError } from '../errors.ts';
import { network } from '../intake/failure-limit.ts';

const WINDOW_MS = 60_000;
/** Addresses that are counted at a time; beyond it the one that asked longest ago is forgotten. */
const MAX_ADDRESSES = 20_000;

/**
 * Bounds the requests of one address (an IPv6 one counts as its /64) in a minute, whatever they ask; routes that say so
 * in their config are exempt. Counted by each process for itself.
 */
export async function registerRateLimit(app: FastifyInstance, perMinute: number): Promise<void> {
  await app.register(rateLimit, {
    // As a hook of the whole app it also counts paths that are not there.
    global: false,
    max: perMinute,
    timeWindow: WINDOW_MS,
    cache: MAX_ADDRESSES,
    enableDraftSpec: true,
    keyGenerator: (request) => network(request.ip),
    allowList: (request) => request.routeOptions.config.unlimited === true,
    errorResponseBuilder: (_request, { ttl }) =>
      new ApiError('rate_limit_exceeded', {
        message: `too many requests: at most ${perMinute} a minute from one address`,
        retryAfterS: Math.ceil(ttl / 1_000),
      }),
  });
  app.addHook('onRequest', app.rateLimit());
}
