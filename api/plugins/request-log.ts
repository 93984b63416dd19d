import type { FastifyInstance } from 'fastify';
import type { BusinessEvents } from '../../observability/events.ts';
import type { Log } from '../../observability/log.ts';

/** Shown as the path of requests that met no route: labels stay few. */
const NO_ROUTE = 'unmatched';

/** Counts every answer by its route's pattern, and echoes the request's id. */
export function registerRequestLog(
  app: FastifyInstance,
  log: Log,
  events: Pick<BusinessEvents, 'httpAnswered'>,
): void {
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    const path = request.is404 ? NO_ROUTE : (request.routeOptions.url ?? NO_ROUTE);
    const { method } = request;
    const status = reply.statusCode;
    const ms = reply.elapsedTime;
    events.httpAnswered({ path, method, status, seconds: ms / 1_000 });
    if (log.isLevelEnabled('debug'))
      log.debug({ request_id: request.id, method, path, status, ms: Math.round(ms) }, 'answered');
    done();
  });
}
