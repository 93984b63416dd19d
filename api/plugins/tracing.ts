import type { FastifyInstance, FastifyRequest } from 'fastify';
import { tracing, type Attributes, type Span } from '../../observability/tracing.ts';

declare module 'fastify' {
  interface FastifyRequest {
    span: Span | null;
  }
}

/** Asked every few seconds by whoever watches the service: they would bury everything else. */
const OF_THE_SERVICE = 'service';
const LONGEST_PATH = 256;

/**
 * A span for each request of a route, where traces are written. A caller's trace goes on (`traceparent`), and
 * `traceresponse` names ours. Queries, headers, bodies and addresses of clients are not written down.
 */
export function registerTracing(app: FastifyInstance): void {
  const traces = tracing();
  if (traces === undefined) return;
  app.decorateRequest('span', null);
  app.addHook('onRequest', (request, reply, done) => {
    const route = request.is404 ? undefined : request.routeOptions.url;
    if (route === undefined || request.routeOptions.schema?.tags?.includes(OF_THE_SERVICE) === true) {
      done();
      return;
    }
    const given = request.headers.traceparent;
    const span = traces.start(`${request.method} ${route}`, {
      kind: 'server',
      parent: typeof given === 'string' ? given : null,
      attributes: { 'http.route': route, ...pathOf(route, request), ...about(request) },
    });
    request.span = span;
    reply.header('traceresponse', span.traceparent);
    // Also where the client goes away before it has its answer.
    reply.raw.once('close', () => {
      const { headersSent, statusCode, writableFinished } = reply.raw;
      if (headersSent) span.set({ 'http.response.status_code': statusCode });
      if (headersSent && statusCode >= 500) span.fail(String(statusCode));
      else if (!writableFinished) span.fail('client_gone');
      span.end();
    });
    traces.within(span, done);
  });
  // A body arrives in the connection's own context.
  app.addHook('preValidation', ({ span }, _reply, done) => {
    if (span === null) done();
    else traces.within(span, done);
  });
}

/** What a wildcard stands for are names of files, which are a part of what a job wrote. */
function pathOf(route: string, { url }: FastifyRequest): Attributes {
  return route.endsWith('*') ? {} : { 'url.path': url.replace(/[?#].*$/s, '').slice(0, LONGEST_PATH) };
}

function about({ method, protocol, id }: FastifyRequest): Attributes {
  return {
    'http.request.method': method,
    'url.scheme': protocol,
    'beacon.request.id': id,
  };
}
