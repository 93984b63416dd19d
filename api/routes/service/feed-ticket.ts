import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { nodeSha256 } from '../../../attestation/keys/node-verifiers.ts';
import { keepTicket } from '../../../store/feed-tickets.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';
import type { RouteApp } from '../app-type.ts';

const TICKET_BYTES = 32;
/** From the answer to the upgrade is one round trip. */
const TICKET_SECONDS = 60;

/** Tickets for the feed: whoever signs this request sees his private jobs there. */
export function registerFeedTickets(app: RouteApp, pool: Pool): void {
  app.post(
    '/api/v1/feed/tickets',
    {
      config: { permission: 'read', mutates: true },
      schema: {
        operationId: 'createFeedTicket',
        summary: 'A ticket with which the feed shows the private jobs of a key.',
        description:
          'Signed by `Beacon-Signature`, without a body. The ticket is good for one connection, soon: `/ws?ticket=…`.',
        tags: ['jobs'],
        response: {
          201: z
            .object({ ticket: z.string(), expires_at: z.iso.datetime() })
            .describe('Good once, until then.'),
        },
        errors: ['unauthorized', 'invalid_json'],
      },
    },
    async (request, reply) => {
      if (request.principal.kind !== 'key') throw new ApiError('unauthorized');
      const ticket = randomBytes(TICKET_BYTES).toString('base64url');
      const expires = await keepTicket(pool, {
        sha256: nodeSha256(Buffer.from(ticket)),
        owner: request.principal.id,
        seconds: TICKET_SECONDS,
      });
      return reply.code(201).send({ ticket, expires_at: expires.toISOString() });
    },
  );
}
