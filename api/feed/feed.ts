import { randomUUID } from 'node:crypto';
import type { IncomingMessage, Server } from 'node:http';
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import type { BusinessEvents } from '../../observability/events.ts';
import type { Log } from '../../observability/log.ts';
import type { Wakeups } from '../../store/notify.ts';
import type { Pool } from '../../store/pool.ts';
import { STRANGER, type Viewer } from '../../store/principals.ts';
import { ApiError, errorBody } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { serveClient } from './client.ts';
import type { FeedClient } from './client.ts';
import { CLOSES, FeedClosed } from './close.ts';
import { line } from './frame.ts';
import { parseFeedQuery } from './query.ts';
import type { FeedQuery } from './query.ts';
import { CLIENT_MESSAGE_BYTES, CLOSE_TIMEOUT_MS, FEED_DEFAULTS } from './settings.ts';
import type { FeedSettings } from './settings.ts';
import { createTail } from './tail.ts';
import { createTurns } from './turns.ts';
import { feedViewer } from './viewer.ts';

export const FEED_PATH = '/ws';

export interface FeedDeps {
  pool: Pool;
  wakeups: Wakeups;
  log: Log;
  events: Pick<
    BusinessEvents,
    'feedClientOpened' | 'feedClientClosed' | 'feedSlowConsumer' | 'feedBroadcast' | 'httpAnswered'
  >;
  /** Why this upgrade is refused, or undefined (Host and Origin, spec: core §3). */
  refusal: (request: IncomingMessage) => ErrorCode | undefined;
  /** The client's address for the cap; default the socket's. Behind a proxy the API knows better. */
  addressOf?: (request: IncomingMessage) => string;
  /** What each client may see, by its headers; default what a stranger may. A ticket goes before. */
  viewerOf?: (request: IncomingMessage) => Viewer;
  settings?: Partial<FeedSettings>;
}

export interface Feed extends AsyncDisposable {
  /** Serves `/ws` on this server; other upgrades are answered 404. */
  attach(server: Server): void;
  readonly clients: number;
}

/** The WebSocket feed (docs/feed.md). Disposing tells every client its cursor, closes with 1001 and stops reading. */
export function createFeed(deps: FeedDeps): Feed {
  const { pool, wakeups, log, events, refusal } = deps;
  const addressOf = deps.addressOf ?? ((request) => request.socket.remoteAddress ?? '');
  const viewerOf = deps.viewerOf ?? (() => STRANGER);
  const settings: FeedSettings = { ...FEED_DEFAULTS, ...deps.settings };

  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: CLIENT_MESSAGE_BYTES,
  });
  const tail = createTail({ pool, wakeups, log, onDelivered: events.feedBroadcast });
  const turns = createTurns(settings.backfillsAtOnce);
  const perAddress = new Map<string, number>();
  const clients = new Map<WebSocket, FeedClient>();
  const answered = new WeakSet<WebSocket>();
  const servers = new Set<Server>();
  let closing = false;

  function onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const path = (request.url ?? '').split('?', 1)[0];
    const refused = path !== FEED_PATH ? 'not_found' : closing ? 'unavailable' : refusal(request);
    if (refused !== undefined) {
      refuseUpgrade(socket, new ApiError(refused));
      return;
    }
    socket.on('error', () => undefined);
    feedViewer(pool, request, viewerOf).then(
      (viewer) => {
        if (viewer === undefined || closing) {
          refuseUpgrade(socket, new ApiError(closing ? 'unavailable' : 'invalid_ticket'));
        } else sockets.handleUpgrade(request, socket, head, (client) => open(client, request, viewer));
      },
      (error: unknown) => {
        log.warn({ err: error }, 'a feed ticket could not be looked at');
        refuseUpgrade(socket, new ApiError('unavailable'));
      },
    );
  }

  function open(socket: WebSocket, request: IncomingMessage, viewer: Viewer): void {
    const address = addressOf(request);
    const fromAddress = perAddress.get(address) ?? 0;
    let query: FeedQuery;
    try {
      if (clients.size >= settings.maxClients || fromAddress >= settings.maxClientsPerAddress) {
        throw new FeedClosed('too_many_connections');
      }
      query = parseFeedQuery(request.url ?? '');
    } catch (error) {
      refuseClient(socket, error as FeedClosed);
      return;
    }

    perAddress.set(address, fromAddress + 1);
    const client = serveClient({
      socket,
      query,
      viewer,
      pool,
      tail,
      turns,
      settings,
      log,
      onSent: events.feedBroadcast,
      onSlow: (bufferedBytes) => events.feedSlowConsumer({ address, bufferedBytes }),
    });
    clients.set(socket, client);
    answered.add(socket);
    socket.on('pong', () => answered.add(socket));
    events.feedClientOpened({ clients: clients.size });
    socket.on('close', (code, reason) => {
      clients.delete(socket);
      const left = perAddress.get(address)! - 1;
      if (left > 0) perAddress.set(address, left);
      else perAddress.delete(address);
      events.feedClientClosed({ clients: clients.size, code, reason: reason.toString(), sent: client.sent });
    });
  }

  // A client that answered nothing since the last ping is gone, although its socket may not know yet.
  const pings = setInterval(() => {
    for (const [socket, client] of clients) {
      if (!answered.delete(socket)) socket.terminate();
      else if (socket.readyState === socket.OPEN) {
        client.tellCursor();
        socket.ping();
      }
    }
  }, settings.pingMs);
  pings.unref();

  return {
    get clients() {
      return clients.size;
    },
    attach(server) {
      servers.add(server);
      server.on('upgrade', onUpgrade);
    },
    async [Symbol.asyncDispose]() {
      closing = true;
      clearInterval(pings);
      const leaving = [...clients.values()];
      for (const client of leaving) client.leave();
      await Promise.all(leaving.map(({ ended }) => ended));
      for (const server of servers) server.off('upgrade', onUpgrade);
      await tail[Symbol.asyncDispose]();
    },
  };
}

/** An answer for those who do not get a WebSocket, in the shape of the API's errors. */
function refuseUpgrade(socket: Duplex, error: ApiError): void {
  const body = JSON.stringify(errorBody(error, randomUUID()));
  socket.on('error', () => undefined);
  socket.end(
    [
      `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}`,
      'Connection: close',
      'Content-Type: application/json; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      '',
      body,
    ].join('\r\n'),
    () => socket.destroy(),
  );
}

/** Refused inside, as a browser shows its page the close code but not the HTTP status. */
function refuseClient(socket: WebSocket, { code, message, details }: FeedClosed): void {
  socket.on('error', () => undefined);
  socket.send(line({ type: 'error', error_code: code, code, error: message, ...details }));
  socket.close(CLOSES[code][0], code);
  const timer = setTimeout(() => socket.terminate(), CLOSE_TIMEOUT_MS);
  socket.once('close', () => clearTimeout(timer));
}
