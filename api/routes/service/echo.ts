import { createHash } from 'node:crypto';
import { z } from 'zod';
import { recordProbe } from '../../../store/region-probes.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';
import type { RouteApp } from '../app-type.ts';

const params = z.object({ nonce: z.string().regex(/^[A-Za-z0-9_-]{16,64}$/) });

/**
 * Where a provider's egress is seen: the source address of the request that carries a nonce which a worker has just made.
 * Whatever the request says besides is ignored, and nothing is told to it.
 */
export function registerEcho(app: RouteApp, pool: Pool): void {
  app.get(
    '/api/v1/echo/:nonce',
    {
      config: { permission: 'read', mutates: true },
      schema: {
        operationId: 'echoProbe',
        summary: 'Where a request comes from, seen once for each nonce.',
        description:
          'Asked from inside a rented machine before a job is sent there (docs/golem.md). Good once, for two minutes.',
        tags: ['jobs'],
        params,
        response: { 204: z.undefined().describe('Seen.') },
        answerHeaders: { 204: ['Cache-Control'] },
        errors: ['probe_not_expected'],
      },
    },
    async (request, reply) => {
      const sha256 = createHash('sha256').update(request.params.nonce).digest();
      if (!(await recordProbe(pool, sha256, plainAddress(request.ip))))
        throw new ApiError('probe_not_expected');
      return reply.code(204).header('cache-control', 'no-store').send();
    },
  );
}

/** An IPv4 address that came through an IPv6 socket. */
function plainAddress(address: string): string {
  return address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '');
}
