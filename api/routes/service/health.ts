import { z } from 'zod';
import type { Log } from '../../../observability/log.ts';
import type { RouteApp } from '../app-type.ts';
import { breakerStats, type BreakerStats } from './breaker-stats.ts';

/** Asks one dependency whether it works; rejects when it does not. */
export interface HealthProbe {
  name: string;
  /** Without it nothing can be served: readiness fails. Others only degrade. */
  required: boolean;
  check(signal: AbortSignal): Promise<void> | Promise<ProbeFacts | 'absent'>;
}

/** What a probe tells besides; `absent`: there is no such dependency here. */
export interface ProbeFacts {
  circuit_breaker_stats?: BreakerStats;
}

/** Thrown by a probe whose reason strangers may read. */
export class UnhealthyError extends Error {
  override readonly name = 'UnhealthyError';
  readonly code = 'unhealthy';
  readonly facts: ProbeFacts;
  constructor(message: string, facts: ProbeFacts = {}) {
    super(message);
    this.facts = facts;
  }
}

const PROBE_TIMEOUT_MS = 1_000;
/** Many probes share one look: a flood of health requests must not become one of queries. */
const LOOK_AGE_MS = 500;

const service = z
  .object({
    name: z.string(),
    status: z.enum(['healthy', 'unhealthy']),
    required: z.boolean().describe('Without it nothing can be served.'),
    last_check: z.iso.datetime(),
    latency_ms: z.number(),
    error: z.string().optional(),
    circuit_breaker_stats: breakerStats.optional(),
  })
  .meta({ id: 'ServiceHealth' });
type ServiceHealth = z.infer<typeof service>;

const health = z.object({ status: z.enum(['healthy', 'degraded', 'unhealthy']), services: z.array(service) });
const readiness = health.extend({ ready: z.boolean() });
const OPEN = { permission: 'read', mutates: false, unlimited: true } as const;

/** Live: the process answers. Ready: what it cannot do without answers, each asked for real with a time limit. */
export function registerHealth(app: RouteApp, probes: readonly HealthProbe[], log: Pick<Log, 'warn'>): void {
  let lookedAtMs = -Infinity;
  let look: Promise<ServiceHealth[]> = Promise.resolve([]);
  const services = (): Promise<ServiceHealth[]> => {
    if (performance.now() - lookedAtMs > LOOK_AGE_MS) {
      lookedAtMs = performance.now();
      look = Promise.all(probes.map((probe) => ask(probe, log))).then((asked) =>
        asked.filter((one) => one !== undefined),
      );
    }
    return look;
  };
  const report = async () => {
    const all = await services();
    const ill = all.filter(({ status }) => status === 'unhealthy');
    const ready = !ill.some(({ required }) => required);
    const status = ready
      ? ill.length === 0
        ? ('healthy' as const)
        : ('degraded' as const)
      : ('unhealthy' as const);
    return { ready, status, services: all };
  };

  for (const [prefix, version] of [
    ['', ''],
    ['/api/v1', 'V1'],
  ] as const) {
    app.get(
      `${prefix}/health`,
      {
        config: OPEN,
        schema: {
          operationId: `getHealth${version}`,
          summary: 'How every dependency is.',
          description: 'Each is asked for real, with a limit of one second.',
          tags: ['service'],
          response: {
            200: health.describe('`degraded`: something that is not required does not answer.'),
            503: health.describe('Nothing can be served.'),
          },
        },
      },
      async (_request, reply) => {
        const { ready, status, services: all } = await report();
        return reply.code(ready ? 200 : 503).send({ status, services: all });
      },
    );
    app.get(
      `${prefix}/health/live`,
      {
        config: OPEN,
        schema: {
          operationId: `getLiveness${version}`,
          summary: 'The process answers.',
          tags: ['service'],
          response: { 200: z.object({ status: z.literal('alive') }).describe('It does.') },
        },
      },
      async () => ({ status: 'alive' as const }),
    );
    app.get(
      `${prefix}/health/ready`,
      {
        config: OPEN,
        schema: {
          operationId: `getReadiness${version}`,
          summary: 'Requests can be served.',
          tags: ['service'],
          response: {
            200: readiness.describe('Ready.'),
            503: readiness.describe('PostgreSQL does not answer.'),
          },
        },
      },
      async (_request, reply) => {
        const answer = await report();
        return reply.code(answer.ready ? 200 : 503).send(answer);
      },
    );
  }
}

async function ask(
  { name, required, check }: HealthProbe,
  log: Pick<Log, 'warn'>,
): Promise<ServiceHealth | undefined> {
  const began = performance.now();
  const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
  let error: string | undefined;
  let facts: ProbeFacts = {};
  try {
    const told = await Promise.race([check(signal), aborted(signal)]);
    if (told === 'absent') return undefined;
    facts = told ?? {};
  } catch (cause) {
    // What failed inside stands in the log; the answer is read by strangers.
    log.warn({ err: cause, service: name }, 'health probe failed');
    if (cause instanceof UnhealthyError) {
      error = cause.message;
      facts = cause.facts;
    } else error = signal.aborted ? `no answer within ${PROBE_TIMEOUT_MS} ms` : 'not reachable';
  }
  return {
    name,
    status: error === undefined ? 'healthy' : 'unhealthy',
    required,
    last_check: new Date().toISOString(),
    latency_ms: Math.round(performance.now() - began),
    ...(error === undefined ? {} : { error }),
    ...facts,
  };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('the probe took too long')), { once: true });
  });
}
