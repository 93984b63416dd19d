import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import Fastify, { LogController, type FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { LIMITS } from '../domain/limits.ts';
import type { BusinessEvents } from '../observability/events.ts';
import type { Log } from '../observability/log.ts';
import { ApiError, errorBody } from './errors.ts';
import type { IntakeDeps } from './intake/accept.ts';
import { registerAccess, type AccessGate } from './plugins/access.ts';
import { registerBodies } from './plugins/body.ts';
import { registerOpenApi } from './plugins/openapi.ts';
import { registerPrincipals } from './plugins/principal.ts';
import { registerProblems, sendProblem, toApiError } from './plugins/problems.ts';
import { registerSignedReads } from './plugins/signed-read.ts';
import { registerTracing } from './plugins/tracing.ts';
import { registerRequestLog } from './plugins/request-log.ts';
import { registerExecutionFiles } from './routes/executions/files.ts';
import { registerExecutionReads } from './routes/executions/read.ts';
import { registerJobCancel } from './routes/jobs/cancel.ts';
import { registerJobDirectory } from './routes/jobs/directory.ts';
import { registerJobReads } from './routes/jobs/read.ts';
import { registerJobSubmit } from './routes/jobs/submit.ts';
import { registerGateway } from './routes/ipfs/gateway.ts';
import { registerDocs } from './routes/service/docs.ts';
import { registerGolem } from './routes/golem/status.ts';
import { registerBreakers } from './routes/service/breakers.ts';
import { registerEcho } from './routes/service/echo.ts';
import { registerFeedPath } from './routes/service/feed.ts';
import { registerFeedTickets } from './routes/service/feed-ticket.ts';
import { registerHealth, type HealthProbe } from './routes/service/health.ts';
import { registerMetrics, type RenderMetrics } from './routes/service/metrics.ts';
import { registerBlocks } from './routes/transparency/blocks.ts';
import { registerBundles } from './routes/transparency/bundles.ts';
import { registerCheckpoints } from './routes/transparency/checkpoints.ts';
import { registerConsistency } from './routes/transparency/consistency.ts';
import { registerEntries } from './routes/transparency/entries.ts';
import { createLogFinder } from './routes/transparency/log.ts';
import { registerKeys } from './routes/transparency/keys.ts';
import { registerProof } from './routes/transparency/proof.ts';
import { registerRoot } from './routes/transparency/root.ts';
import { registerTiles } from './routes/transparency/tiles.ts';
import { registerWellKnown } from './routes/transparency/well-known.ts';
import type { ApiSettings } from './settings.ts';
import type { Notifier } from '../store/notify.ts';
import type { Pool } from '../store/pool.ts';

interface AppDeps {
  settings: ApiSettings;
  version: string;
  pool: Pool;
  log: Log;
  events: Pick<
    BusinessEvents,
    | 'blockDamaged'
    | 'directoryMade'
    | 'gatewayAnswered'
    | 'httpAnswered'
    | 'jobAccepted'
    | 'jobCancelRequested'
  >;
  notifier: Pick<Notifier, 'notify'>;
  intake: IntakeDeps;
  gate: AccessGate;
  probes: readonly HealthProbe[];
  renderMetrics: RenderMetrics;
}

/** A whole request must be here in this time, or it is a slow client holding a connection. */
const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 15_000;
/** How often Node looks who is late. */
const LATE_CHECK_MS = 5_000;
/** A connection on which nothing moves. */
const CONNECTION_TIMEOUT_MS = 60_000;
/** Longer than the 60 s after which common proxies give a connection up, so that it is they who close. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
const MAX_HEADER_BYTES = 16 * 1024;
/** Job ids have 128 characters, percent-encoded three times that. */
const MAX_PARAM_LENGTH = 512;
const SANE_REQUEST_ID = /^[A-Za-z0-9._:/+=-]{1,128}$/;

/** The API as an app that does not listen: `server.ts` starts it, tests inject into it. */
export async function createApp(deps: AppDeps): Promise<FastifyInstance> {
  const { settings } = deps;
  const app = Fastify({
    loggerInstance: deps.log,
    // One line per answer is written by request-log.ts.
    logController: new LogController({ disableRequestLogging: true }),
    // A logger of its own for each request would cost more than all hooks; ours name the request where they log.
    childLoggerFactory: (log) => log,
    bodyLimit: LIMITS.requestBodyBytes,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    http: {
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: LATE_CHECK_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
    },
    trustProxy: settings.trustedProxies.length === 0 ? false : [...settings.trustedProxies],
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    genReqId: requestId,
    forceCloseConnections: 'idle',
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: (error, request, reply) => {
      sendProblem(toApiError(error), request, reply);
    },
  }).withTypeProvider<ZodTypeProvider>() as unknown as FastifyInstance;

  registerTracing(app);
  registerRequestLog(app, deps.log, deps.events);
  registerProblems(app, deps.events);
  registerAccess(app, settings, deps.gate);
  if (settings.requestsPerMinute > 0) {
    // Loaded only where it is wanted.
    const { registerRateLimit } = await import('./plugins/rate-limit.ts');
    await registerRateLimit(app, settings.requestsPerMinute);
  }
  registerPrincipals(app, settings.operatorToken);
  registerSignedReads(app, deps.pool);
  registerBodies(app);
  await registerOpenApi(app, deps.version);

  const routes = app.withTypeProvider<ZodTypeProvider>();
  registerJobSubmit(routes, deps.intake);
  registerJobReads(routes, deps.pool);
  registerJobCancel(routes, deps);
  registerJobDirectory(routes, deps);
  registerExecutionReads(routes, deps.pool);
  registerExecutionFiles(routes, deps);
  const findLog = createLogFinder(deps.pool);
  registerRoot(routes, deps.pool, findLog);
  registerKeys(routes, deps.pool, findLog);
  registerProof(routes, deps.pool, findLog);
  registerConsistency(routes, findLog);
  registerCheckpoints(routes, deps.pool, findLog);
  registerEntries(routes, deps.pool, findLog);
  registerWellKnown(routes, deps.pool, findLog);
  registerBlocks(routes, deps);
  registerGateway(routes, deps);
  registerBundles(routes, deps.pool, findLog);
  registerTiles(routes, findLog);
  registerHealth(routes, deps.probes, deps.log);
  registerMetrics(routes, deps.renderMetrics);
  registerEcho(routes, deps.pool);
  registerBreakers(routes, deps.pool);
  registerGolem(routes, deps.pool);
  registerFeedPath(routes);
  registerFeedTickets(routes, deps.pool);
  registerDocs(routes);
  return app;
}

function requestId(request: { headers: IncomingMessage['headers'] }): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && SANE_REQUEST_ID.test(given) ? given : randomUUID();
}

/** What came was no HTTP that Node could read; the connection is beyond saving. */
function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const problem = new ApiError(
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? 'request_timeout'
      : error.code === 'HPE_HEADER_OVERFLOW'
        ? 'headers_too_large'
        : 'bad_request',
  );
  const body = JSON.stringify(errorBody(problem, randomUUID()));
  socket.end(
    `HTTP/1.1 ${problem.status} Refused\r\nConnection: close\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
