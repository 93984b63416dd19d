import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { ApiError } from '../errors.ts';
import { ANONYMOUS, OPERATOR, type Principal } from '../principal.ts';

/**
 * Resolves who asks from the headers; a request signed by a job's key is resolved where its body is read
 * (signed-request.ts). Refuses to build an app with a route that does not say what it permits.
 */
export function registerPrincipals(app: FastifyInstance, operatorToken: string | null): void {
  const resolve = createPrincipals(operatorToken);
  app.decorateRequest('principal');
  app.addHook('onRoute', (route) => {
    if (route.method === 'OPTIONS' || route.method.includes('OPTIONS')) return;
    if (route.config?.permission === undefined || route.config.mutates === undefined) {
      throw new TypeError(
        `${String(route.method)} ${route.url} does not declare its permission and whether it mutates`,
      );
    }
  });
  app.addHook('onRequest', (request, _reply, done) => {
    const { permission } = request.routeOptions.config;
    const strict = permission === 'operate' || permission === 'change-job';
    request.principal = resolve(request.headers, strict);
    if (permission === 'operate' && request.principal.kind !== 'operator') {
      throw new ApiError(operatorToken === null ? 'admin_auth_not_configured' : 'unauthorized');
    }
    done();
  });
}

/**
 * Tells who asks by his headers. `strict`: a credential that is wrong is told; elsewhere it counts as none, because
 * proxies add credentials of theirs.
 */
export function createPrincipals(operatorToken: string | null) {
  const expected = operatorToken === null ? null : digest(operatorToken);
  return (headers: IncomingHttpHeaders, strict = false): Principal => {
    const { authorization, 'x-admin-token': adminToken } = headers;
    const bearer = authorization === undefined ? undefined : /^Bearer +(\S+)$/i.exec(authorization)?.[1];
    const token = typeof adminToken === 'string' ? adminToken : bearer;
    if (token === undefined) {
      if (strict && authorization !== undefined) throw new ApiError('invalid_auth_format');
      return ANONYMOUS;
    }
    if (expected !== null && timingSafeEqual(digest(token), expected)) return OPERATOR;
    if (strict) throw new ApiError(expected === null ? 'admin_auth_not_configured' : 'invalid_token');
    return ANONYMOUS;
  };
}

/** Hashes are of one length, so that comparing them tells nothing about the token's. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
