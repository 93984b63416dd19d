import { isIP } from 'node:net';
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ApiError } from '../errors.ts';

interface AccessSettings {
  allowedHosts: readonly string[];
  corsOrigins: readonly string[];
}

/** Why a request may not come in, or undefined. Also asked by the feed for the upgrade of `/ws`. */
export type AccessGate = (
  request: Pick<IncomingMessage, 'headers'> & { socket: { localAddress?: string | undefined } },
  rules?: { anyOrigin?: boolean },
) => 'host_not_allowed' | 'origin_not_allowed' | undefined;

const LOOPBACK_NAME = /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** On every answer; the page at /docs alone has another policy. */
const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "sandbox; default-src 'none'; frame-ancestors 'none'",
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
};
const OVER_TLS = { 'strict-transport-security': 'max-age=31536000' };
const EXPOSED = {
  'access-control-expose-headers':
    'X-Request-ID, traceresponse, ETag, Retry-After, Location, Content-Disposition, X-Ipfs-Cid, X-Ipfs-Path, X-Ipfs-Roots, Accept-Ranges, Content-Range, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset',
};
const PREFLIGHT = {
  'access-control-allow-methods': 'GET, POST, PUT, DELETE, OPTIONS',
  'access-control-allow-headers':
    'Content-Type, Authorization, X-Admin-Token, X-Request-ID, traceparent, Idempotency-Key, If-None-Match, If-Range, Range, Beacon-Signature',
  'access-control-max-age': '86400',
};

/**
 * A web page cannot choose the Host and Origin that its browser sends, so a name that is not ours (DNS rebinding) and a
 * page that is not ours are both refused (spec: core §3). An address as Host is served when it is the one that was
 * reached: probes and scrapers use it, and no rebinding can.
 */
export function createAccessGate({ allowedHosts, corsOrigins }: AccessSettings): AccessGate {
  const hosts = new Set(allowedHosts.map((host) => host.toLowerCase()));
  const origins = originSet(corsOrigins);
  return ({ headers, socket }, { anyOrigin = false } = {}) => {
    const authority = headers.host?.toLowerCase() ?? '';
    const name = authority.replace(/:\d*$/, '');
    const served =
      hosts.has('*') || hosts.has(name) || LOOPBACK_NAME.test(name) || isReached(name, socket.localAddress);
    if (!served) return 'host_not_allowed';
    const origin = headers.origin?.toLowerCase();
    if (origin === undefined || anyOrigin || origins.has(origin)) return undefined;
    const same = origin === `http://${authority}` || origin === `https://${authority}`;
    return same ? undefined : 'origin_not_allowed';
  };
}

/** As browsers send them, however they were written down. */
function originSet(origins: readonly string[]): ReadonlySet<string> {
  return new Set(origins.map((origin) => origin.toLowerCase().replace(/\/$/, '')));
}

function isReached(name: string, localAddress: string | undefined): boolean {
  const address = name.replace(/^\[|\]$/g, '');
  return isIP(address) !== 0 && localAddress?.toLowerCase().replace(/^::ffff:/, '') === address;
}

/** Lets a request in or refuses it, and answers the browser's questions about other pages' requests (fetch standard). */
export function registerAccess(
  app: FastifyInstance,
  { corsOrigins }: Pick<AccessSettings, 'corsOrigins'>,
  gate: AccessGate,
): void {
  const origins = originSet(corsOrigins);
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(SECURITY_HEADERS);
    if (request.protocol === 'https') reply.headers(OVER_TLS);
    const { anyOrigin = false } = request.routeOptions.config;
    const refusal = gate(request.raw, { anyOrigin });
    if (refusal !== undefined) throw new ApiError(refusal);
    if (anyOrigin) reply.headers({ ...EXPOSED, 'access-control-allow-origin': '*' });
    else if (origins.size > 0) {
      const { origin } = request.headers;
      // A cache must not give one page what was answered to another.
      reply.header('vary', 'Origin');
      if (origin !== undefined && origins.has(origin))
        reply.headers({ ...EXPOSED, 'access-control-allow-origin': origin });
    }
    done();
  });
  const preflight = (request: FastifyRequest, reply: FastifyReply): void => {
    const { origin, 'access-control-request-method': method } = request.headers;
    if (origin === undefined || method === undefined)
      throw new ApiError('bad_request', { message: 'OPTIONS is answered to a preflight only' });
    reply.code(204).headers(PREFLIGHT).send();
  };
  app.options('*', { schema: { hide: true } }, preflight);
  // What every page may read is asked for first when the page wants a header more (If-None-Match, Range).
  app.addHook('onRoute', function ({ method, routePath, config }) {
    if (method !== 'GET' || config?.anyOrigin !== true) return;
    this.options(routePath, { schema: { hide: true }, config }, preflight);
  });
}
