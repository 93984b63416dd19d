import type { IncomingMessage } from 'node:http';
import { nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import { redeemTicket } from '../../store/feed-tickets.ts';
import type { Pool } from '../../store/pool.ts';
import type { Viewer } from '../../store/principals.ts';

/**
 * What a client of the feed may see: with `?ticket=` what its owner may, undefined when the ticket is not good; else what
 * its headers say.
 */
export async function feedViewer(
  pool: Pool,
  request: IncomingMessage,
  byHeaders: (request: IncomingMessage) => Viewer,
): Promise<Viewer | undefined> {
  const ticket = new URL(request.url ?? '', 'ws://feed').searchParams.get('ticket');
  if (ticket === null) return byHeaders(request);
  const owner = await redeemTicket(pool, nodeSha256(Buffer.from(ticket)));
  return owner === undefined ? undefined : { all: false, owner };
}
