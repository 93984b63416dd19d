import type { FastifyInstance } from 'fastify';
import type { IncomingMessage } from 'node:http';
import proxyAddr from '@fastify/proxy-addr';
import type { BusinessEvents } from '../observability/events.ts';
import { ed25519Library } from '../attestation/keys/libsodium.ts';
import type { Log } from '../observability/log.ts';
import type { Notifier, Wakeups } from '../store/notify.ts';
import type { Pool } from '../store/pool.ts';
import { writeTrustMode } from '../store/trust-mode.ts';
import { createSubmitter } from '../store/submit.ts';
import { createApp } from './app.ts';
import { createFeed } from './feed/feed.ts';
import type { FeedSettings } from './feed/settings.ts';
import { createBacklog } from './intake/backlog.ts';
import { createFailureLimit } from './intake/failure-limit.ts';
import { createSpecVerifier } from './intake/spec-verifier.ts';
import { loadTrustList } from './intake/trusted-keys.ts';
import { isLoopback, listen, type Listening } from './listen.ts';
import { createAccessGate } from './plugins/access.ts';
import { createPrincipals } from './plugins/principal.ts';
import type { HealthProbe } from './routes/service/health.ts';
import type { RenderMetrics } from './routes/service/metrics.ts';
import { viewerOf } from './routes/viewer.ts';
import type { ApiSettings } from './settings.ts';

/** What is still open then is a client that sends nothing or reads nothing: requests take far less. */
const DRAIN_MS = 5_000;
const CLOSE_IDLE_EVERY_MS = 50;

interface ApiOptions {
  settings: ApiSettings;
  /** Of the product, shown in the OpenAPI document. */
  version: string;
  pool: Pool;
  notifier: Notifier;
  wakeups: Wakeups;
  log: Log;
  events: BusinessEvents;
  /** Everything that health asks, the database among it. */
  probes: readonly HealthProbe[];
  renderMetrics: RenderMetrics;
  feed?: Partial<FeedSettings>;
}

export interface Api extends AsyncDisposable {
  /** Base URL, `http://127.0.0.1:8090`. */
  address: string;
  port: number;
}

/**
 * Starts the API with its feed. Disposing drains: feed clients are told their cursor and closed, requests under way are
 * answered, what was submitted is stored.
 */
export async function startApi(options: ApiOptions): Promise<Api> {
  const started: AsyncDisposable[] = [];
  const use = <T extends AsyncDisposable>(part: T): T => {
    started.push(part);
    return part;
  };
  /** In the opposite order of starting. */
  const stop = async (): Promise<void> => {
    for (let part = started.pop(); part !== undefined; part = started.pop())
      await part[Symbol.asyncDispose]();
  };
  try {
    const listening = await start(options, use);
    return { address: listening.url, port: listening.port, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(
  options: ApiOptions,
  use: <T extends AsyncDisposable>(part: T) => T,
): Promise<Listening> {
  const { settings, pool, log, events } = options;
  log.info({ library: ed25519Library }, 'signatures of jobs are verified');
  const trustList = use(await loadTrustList(settings.trust, log));
  const verifier = use(createSpecVerifier());
  const submitter = use(createSubmitter({ pool, notifier: options.notifier }));
  const gate = createAccessGate(settings);
  const app = await createApp({
    settings,
    version: options.version,
    pool,
    log,
    events,
    notifier: options.notifier,
    gate,
    intake: {
      settings,
      trustList,
      verifier,
      submitter,
      events,
      backlog: createBacklog(pool, settings.backlogLimit),
      failureLimit: createFailureLimit(settings.failuresPerMinute),
    },
    probes: options.probes,
    renderMetrics: options.renderMetrics,
  });
  const bound: { listening?: Listening } = {};
  use({ [Symbol.asyncDispose]: () => drain(app, bound.listening) });
  const principalOf = createPrincipals(settings.operatorToken);
  const feed = use(
    createFeed({
      pool,
      wakeups: options.wakeups,
      log,
      events,
      refusal: gate,
      addressOf: clientAddress(settings.trustedProxies),
      viewerOf: (request) => viewerOf(principalOf(request.headers)),
      settings: options.feed ?? {},
    }),
  );
  feed.attach(app.server);

  const open = !settings.trust.enforce;
  const loopbackOnly = open && !settings.trust.allowOpen;
  if (loopbackOnly) {
    log.warn(
      'trust is open (TRUST_ENFORCE is false): any key may submit, so only 127.0.0.1 and ::1 are served',
    );
  } else if (open) {
    log.warn(
      'trust is open (TRUST_ENFORCE is false, ALLOW_OPEN_TRUST is set): anybody who reaches this server may submit',
    );
  }
  const { host } = settings.listen;
  await writeTrustMode(pool, { open, loopback_only: loopbackOnly || (host !== null && isLoopback(host)) });
  bound.listening = use(await listen(app, settings.listen, loopbackOnly));
  return bound.listening;
}

/** The address that an upgrade request came from, believing the same proxies as Fastify does for other requests. */
function clientAddress(trustedProxies: readonly string[]): (request: IncomingMessage) => string {
  if (trustedProxies.length === 0) return (request) => request.socket.remoteAddress ?? '';
  const trusted = proxyAddr.compile([...trustedProxies]);
  return (request) => proxyAddr(request, trusted);
}

/** Lets requests under way end, while connections that have nothing to do are closed; after a while all of them are. */
async function drain(app: FastifyInstance, listening: Listening | undefined): Promise<void> {
  const idle = setInterval(() => app.server.closeIdleConnections(), CLOSE_IDLE_EVERY_MS);
  const all = setTimeout(() => app.server.closeAllConnections(), DRAIN_MS);
  try {
    await app.close();
    await listening?.left();
  } finally {
    clearInterval(idle);
    clearTimeout(all);
  }
}
