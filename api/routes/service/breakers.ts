import { z } from 'zod';
import { orderBreakers, readBreakers } from '../../../store/breakers.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';
import { readJson } from '../../plugins/body.ts';
import { actorOf } from '../../principal.ts';
import type { RouteApp } from '../app-type.ts';
import { breakersOf, breakerStats } from './breaker-stats.ts';
import { UnhealthyError, type HealthProbe } from './health.ts';

/** Yagna as its workers see it; not there where no worker has one. */
export function yagnaProbe(pool: Pool): HealthProbe {
  return {
    name: 'yagna',
    required: false,
    async check() {
      const [stats] = breakersOf((await readBreakers(pool)).filter(({ name }) => name === 'yagna'));
      if (stats === undefined) return 'absent';
      if (stats.state === 'open')
        throw new UnhealthyError(
          stats.forced ? 'an operator opened the circuit breaker' : 'the circuit breaker is open',
          { circuit_breaker_stats: stats },
        );
      return { circuit_breaker_stats: stats };
    },
  };
}

const list = z.object({ circuit_breakers: z.array(breakerStats), timestamp: z.iso.datetime() });
const ordered = z.object({ action: z.enum(['open', 'reset']), names: z.array(z.string()) });
const body = z
  .object({ name: z.string().min(1).max(64).optional().describe('None: all that there are.') })
  .nullish();
/** Null: all. */
function nameIn(raw: unknown): string | null {
  const parsed = body.safeParse(readJson(raw));
  if (parsed.success) return parsed.data?.name ?? null;
  throw new ApiError('validation_error', {
    message: 'the body must be {"name": text} or nothing',
    details: { field: 'name' },
  });
}

const OPERATE = { permission: 'operate', mutates: true } as const;

export function registerBreakers(app: RouteApp, pool: Pool): void {
  const refusals = [
    'unauthorized',
    'invalid_auth_format',
    'invalid_token',
    'admin_auth_not_configured',
  ] as const;
  app.get(
    '/api/v1/admin/circuit-breakers',
    {
      config: { ...OPERATE, mutates: false },
      schema: {
        operationId: 'listCircuitBreakers',
        summary: 'How the circuit breakers stand, over all processes.',
        tags: ['golem'],
        response: { 200: list.describe('Of processes that were heard of in the last 20 seconds.') },
        errors: refusals,
      },
    },
    async () => ({
      circuit_breakers: breakersOf(await readBreakers(pool)),
      timestamp: new Date().toISOString(),
    }),
  );
  for (const [action, operationId, summary] of [
    ['open', 'openCircuitBreakers', 'Keep calls from a dependency until a reset.'],
    ['reset', 'resetCircuitBreakers', 'Close circuit breakers, whoever opened them.'],
  ] as const)
    app.post(
      `/api/v1/admin/circuit-breakers/${action}`,
      {
        config: OPERATE,
        schema: {
          operationId,
          summary,
          description:
            'Every process follows within two seconds, and a process that starts later stays open.',
          tags: ['golem'],
          body,
          response: { 202: ordered.describe('Ordered.') },
          errors: [...refusals, 'invalid_json', 'validation_error', 'breaker_not_found'],
        },
      },
      async (request, reply) => {
        const name = nameIn(request.body);
        const names = await orderBreakers(pool, { name, action, actor: actorOf(request.principal) });
        if (names.length === 0 && name !== null) throw new ApiError('breaker_not_found');
        return reply.code(202).send({ action, names });
      },
    );
}
