import type { FastifyInstance } from 'fastify';
import type { BusinessEvents } from '../../observability/events.ts';

/** Shown as the path of requests that met no route: labels stay few. */
const NO_ROUTE = 'unmatched';

/** Counts every answer by its route's pattern, and echoes the request's id. */
export function registerRequestLog(app: FastifyInstance, events: Pick<BusinessEvents, 'httpAnswered'>): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
  app.addHook('onResponse', async (request, reply) => {
    const path = request.is404 ? NO_ROUTE : (request.routeOptions.url ?? NO_ROUTE);
    const { method } = request;
    const status = reply.statusCode;
    events.httpAnswered({ path, method, status, seconds: reply.elapsedTime / 1_000 });
    request.log.debug({ method, path, status, ms: Math.round(reply.elapsedTime) }, 'answered');
  });
}
