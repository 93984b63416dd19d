import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import type { FastifyInstance, InjectOptions } from 'fastify';
import { createApp } from '../../api/app.ts';
import { createBacklog } from '../../api/intake/backlog.ts';
import { createFailureLimit } from '../../api/intake/failure-limit.ts';
import { createSpecVerifier } from '../../api/intake/spec-verifier.ts';
import { loadTrustList } from '../../api/intake/trusted-keys.ts';
import { createAccessGate } from '../../api/plugins/access.ts';
import type { HealthProbe } from '../../api/routes/service/health.ts';
import type { ApiSettings, TrustSettings } from '../../api/settings.ts';
import { signRequest, type JobRequest } from '../../domain/signing/request.ts';
import { signSpec, type SpecSigner } from '../../domain/signing/sign.ts';
import { toBase64 } from '../../domain/encoding.ts';
import { createBusinessEvents } from '../../observability/events.ts';
import { createLogger } from '../../observability/log.ts';
import { createMetrics, type Metrics } from '../../observability/metrics.ts';
import { askDatabase } from '../../store/alive.ts';
import type { Pool } from '../../store/pool.ts';
import { createSubmitter } from '../../store/submit.ts';
import { watchAnswers } from './conformance.ts';
import { testDatabase, type TestDatabase } from './postgres.ts';

export const OPERATOR_TOKEN = 'operator-token-of-the-tests';

export interface TestApi extends AsyncDisposable {
  app: FastifyInstance;
  db: TestDatabase;
  metrics: Metrics;
  /** Channels that were notified, in order. */
  notified: string[];
  post(body: unknown, headers?: Record<string, string>): Promise<Answer>;
  get(url: string, headers?: Record<string, string>): Promise<Answer>;
}

export interface Answer {
  status: number;
  headers: Record<string, unknown>;
  /** The parsed body where it is JSON. Tests look into it as they like. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  json: any;
  text: string;
  raw: Buffer;
}

export interface TestApiOptions extends Partial<Omit<ApiSettings, 'trust'>> {
  trust?: Partial<TrustSettings>;
  probes?: HealthProbe[];
  /** Where the API thinks that the database is; default the real one. */
  pool?: Pool;
}

export const OPEN_TRUST: TrustSettings = {
  enforce: false,
  allowOpen: false,
  keysJson: null,
  keysFile: null,
  reloadMs: 0,
  maxSkewMs: 5 * 60_000,
  maxAgeMs: 10 * 60_000,
};

export function testSettings(options: TestApiOptions = {}): ApiSettings {
  return {
    listen: { host: null, port: 0, strategy: 'ephemeral', range: [0, 0], addressFile: null },
    allowedHosts: [],
    corsOrigins: ['https://portal.example'],
    trustedProxies: [],
    operatorToken: OPERATOR_TOKEN,
    plan: { backends: { '*': ['local'] }, deadlineMs: 86_400_000, maxParallel: 10, attemptsPerRegion: 3 },
    backlogLimit: 1_000_000,
    failuresPerMinute: { perAddress: 1_000, perAddressAndKey: 1_000 },
    requestsPerMinute: 0,
    ...options,
    trust: { ...OPEN_TRUST, ...options.trust },
  };
}

/** The whole app on a real, empty database. Every answer is held against the OpenAPI document that it serves. */
export async function testApi(options: TestApiOptions = {}): Promise<TestApi> {
  const db = await testDatabase();
  const pool = options.pool ?? db.pool;
  const settings = testSettings(options);
  const log = createLogger('test', 'silent');
  const metrics = createMetrics();
  const events = createBusinessEvents(log, metrics);
  const notified: string[] = [];
  const notifier = { notify: (channel: string) => void notified.push(channel) };
  const submitter = createSubmitter({ pool, notifier });
  const trustList = await loadTrustList(settings.trust, log);
  const app = await createApp({
    settings,
    version: '0.0.0-test',
    pool,
    log,
    events,
    notifier,
    gate: createAccessGate(settings),
    intake: {
      settings,
      trustList,
      verifier: createSpecVerifier(),
      submitter,
      events,
      backlog: createBacklog(pool, settings.backlogLimit),
      failureLimit: createFailureLimit(settings.failuresPerMinute),
    },
    probes: [{ name: 'database', required: true, check: () => askDatabase(pool) }, ...(options.probes ?? [])],
    renderMetrics: async () => ({
      contentType: metrics.shared.contentType,
      body: await metrics.shared.metrics(),
    }),
  });
  const faults = watchAnswers(app);
  const allAsDocumented = () => {
    const found = faults();
    if (found.length > 0) throw new Error(`not as /openapi.json says:\n${found.join('\n')}`);
  };
  const inject = async (request: InjectOptions): Promise<Answer> => {
    const response = await app.inject(request);
    allAsDocumented();
    const isJson = String(response.headers['content-type']).startsWith('application/json');
    return {
      status: response.statusCode,
      headers: response.headers,
      json: isJson ? response.json() : undefined,
      text: response.body,
      raw: response.rawPayload,
    };
  };
  return {
    app,
    db,
    metrics,
    notified,
    post: (body, headers = {}) =>
      inject({
        method: 'POST',
        url: '/api/v1/jobs',
        headers: { 'content-type': 'application/json', ...headers },
        payload: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
      }),
    get: (url, headers = {}) => inject({ method: 'GET', url, headers }),
    async [Symbol.asyncDispose]() {
      await app.close();
      await submitter[Symbol.asyncDispose]();
      await trustList[Symbol.asyncDispose]();
      if (options.pool !== undefined && !options.pool.ended) await options.pool.end();
      await db[Symbol.asyncDispose]();
      allAsDocumented();
    },
  };
}

export interface TestKey extends SpecSigner {
  /** As it stands in a spec. */
  text: string;
  request(request: Omit<JobRequest, 'timestamp' | 'nonce'> & Partial<JobRequest>): object;
}

export function testKey(): TestKey {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const bytes = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));
  const signer: SpecSigner = {
    publicKey: bytes,
    sign: (message) => new Uint8Array(sign(null, message, privateKey)),
  };
  return {
    ...signer,
    text: toBase64(bytes),
    request: (request) =>
      signRequest({ timestamp: new Date().toISOString(), nonce: randomUUID(), ...request }, signer),
  };
}

/** A small valid spec; `over` replaces top-level members. */
export function jobSpec(over: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: `job-${randomUUID()}`,
    version: '1.0',
    benchmark: {
      name: 'Who are you?',
      container: { image: 'builtin:echo', tag: '' },
      input: { type: 'prompt', data: { prompt: 'Who are you?' }, hash: 'sha256:placeholder' },
    },
    constraints: { regions: ['US', 'EU', 'APAC'], min_regions: 1 },
    metadata: { timestamp: new Date().toISOString(), nonce: randomUUID() },
    questions: ['Who are you?', 'What can you do?'],
    ...over,
  };
}

export function signedJob(key: SpecSigner, over: Record<string, unknown> = {}): Record<string, unknown> {
  return signSpec(jobSpec(over), key);
}
