import { z } from 'zod';
import { ApiError } from '../../errors.ts';
import { FEED_PATH } from '../../feed/feed.ts';
import type { RouteApp } from '../app-type.ts';

/** Read by the feed itself, when there is an upgrade; whoever comes without one is told that first. */
const word = (description: string) => z.string().optional().catch(undefined).describe(description);

/** The feed for whoever asks without an upgrade: the path is right, the protocol is not. */
export function registerFeedPath(app: RouteApp): void {
  app.get(
    FEED_PATH,
    {
      config: { permission: 'read', mutates: false },
      schema: {
        operationId: 'openFeed',
        summary: 'Every event in one order, as a WebSocket.',
        description:
          'Each message holds one or more lines, each a JSON object that ends in a newline and has a `cursor`; a client that connects again with the last one misses nothing and sees nothing twice. Lines, closes and codes: docs/feed.md.',
        tags: ['service'],
        querystring: z.object({
          cursor: word('Go on after it; `0`: from the oldest event that is kept; without one: from now on.'),
          from: word('`start`: the same as `cursor=0`.'),
          job_id: word('Events of this job, its log entries included.'),
          execution_id: word('Events of this execution: its UUID or its number.'),
          types: word('Only these types, separated by commas.'),
          ticket: word('Of `POST /api/v1/feed/tickets`, to see private jobs too.'),
        }),
        response: { 101: z.undefined().describe('The feed begins.') },
        errors: ['upgrade_required', 'unavailable', 'invalid_ticket'],
      },
    },
    async (_request, reply) => {
      reply.headers({ upgrade: 'websocket', connection: 'Upgrade' });
      throw new ApiError('upgrade_required');
    },
  );
}
