import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { BusinessEvents } from '../../observability/events.ts';
import { DamagedBytes } from '../../store/sound.ts';

/** Aborted when the client goes away, so that nothing is made for nobody. */
export function gone(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => controller.abort(new Error('the client is gone')));
  return controller.signal;
}

/**
 * Sends pieces as they come. What is wrong with the first becomes an answer; what is wrong later cuts the answer off, so
 * nobody takes it for whole. For HEAD nothing but the first is made.
 */
export async function sendPieces(
  request: FastifyRequest,
  reply: FastifyReply,
  pieces: AsyncGenerator<Uint8Array, void>,
  events: Pick<BusinessEvents, 'blockDamaged'>,
): Promise<FastifyReply> {
  const first = await pieces.next();
  if (request.method === 'HEAD') {
    await pieces.return();
    return reply.send(Readable.from([]));
  }
  return reply.send(Readable.from(rest(first, pieces, events), { objectMode: false }));
}

async function* rest(
  first: IteratorResult<Uint8Array, void>,
  pieces: AsyncGenerator<Uint8Array, void>,
  events: Pick<BusinessEvents, 'blockDamaged'>,
): AsyncGenerator<Uint8Array, void> {
  if (first.done === true) return;
  yield first.value;
  try {
    yield* pieces;
  } catch (error) {
    if (error instanceof DamagedBytes) events.blockDamaged({ address: error.address });
    throw error;
  }
}
