import { on } from 'node:events';
import { WebSocket } from 'ws';
import { bearer } from './client.ts';
import { createFrameReader, type FeedEvent } from './feed-frames.ts';

const HANDSHAKE_TIMEOUT_MS = 10_000;
/** The service pings more often than this; without a sign of life the connection is dead and nobody said so. */
const SILENCE_MS = 90_000;
const MESSAGE_BYTES = 4 * 1024 * 1024;

export interface FeedOptions {
  /** `ws://.../ws`. */
  url: string;
  /** Go on after this position; absent = everything that was kept of the job. */
  cursor?: string | undefined;
  jobId: string;
  /** Of the operator, to see a private job. */
  token?: string | undefined;
  /** Of the owner, for the same. */
  ticket?: string | undefined;
  signal: AbortSignal;
}

export interface FeedConnection extends AsyncDisposable {
  /** Events until the connection ends, which is the end of the iteration or, when it broke, a throw. */
  events: AsyncIterator<FeedEvent>;
}

/** Opens one connection to the feed; rejects when it cannot be had. Reconnecting is the caller's (`follow-job.ts`). */
export async function openFeed({
  url,
  cursor,
  jobId,
  token,
  ticket,
  signal,
}: FeedOptions): Promise<FeedConnection> {
  const address = new URL(url);
  address.searchParams.set('job_id', jobId);
  if (cursor === undefined) address.searchParams.set('from', 'start');
  else address.searchParams.set('cursor', cursor);
  if (ticket !== undefined) address.searchParams.set('ticket', ticket);
  const socket = new WebSocket(address, {
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    maxPayload: MESSAGE_BYTES,
    perMessageDeflate: false,
    headers: bearer(token),
  });
  // Listening from before the handshake ends, so that no first message is missed.
  const messages = on(socket, 'message', { close: ['close'], signal }) as AsyncIterable<[data: Buffer]>;
  const silence = setTimeout(() => socket.terminate(), SILENCE_MS);
  for (const sign of ['message', 'ping'] as const) socket.on(sign, () => silence.refresh());
  socket.once('close', () => clearTimeout(silence));
  socket.on('error', () => undefined);
  try {
    await new Promise<void>((resolve, reject) => {
      const abort = (): void => reject(signal.reason as Error);
      signal.addEventListener('abort', abort, { once: true });
      socket.once('open', resolve);
      socket.once('error', reject);
      socket.once('open', () => signal.removeEventListener('abort', abort));
    });
  } catch (thrown) {
    socket.terminate();
    throw thrown;
  }
  return {
    events: read(messages),
    async [Symbol.asyncDispose]() {
      clearTimeout(silence);
      socket.terminate();
    },
  };
}

async function* read(messages: AsyncIterable<[data: Buffer]>): AsyncGenerator<FeedEvent> {
  const take = createFrameReader();
  for await (const [data] of messages) yield* take(data.toString('utf8'));
}
