import WebSocket from 'ws';
import { pause } from '../../domain/pause.ts';

export interface FeedEvent {
  type: string;
  cursor: string;
  position: number;
  [field: string]: unknown;
}

/** A feed client as users write one: it keeps its cursor and connects again with it whenever the connection is lost. */
export interface FeedClient extends AsyncDisposable {
  events: FeedEvent[];
}

const RETRY_MS = 100;

/** `url` is asked at each connection, since the API may come back elsewhere. Connects from the very beginning. */
export function followFeed(url: () => string): FeedClient {
  const events: FeedEvent[] = [];
  const stop = new AbortController();
  let cursor = '0';
  let socket: WebSocket | undefined;

  const connectOnce = (): Promise<void> =>
    new Promise((resolve) => {
      const opened = new WebSocket(`${url().replace(/^http/, 'ws')}/ws?cursor=${encodeURIComponent(cursor)}`);
      socket = opened;
      opened.on('message', (data: Buffer) => {
        for (const line of data.toString('utf8').split('\n')) {
          if (line === '') continue;
          const event = JSON.parse(line) as FeedEvent;
          if (typeof event.cursor !== 'string') continue;
          cursor = event.cursor;
          if (event.type.startsWith('feed.')) continue;
          events.push({ ...event, position: Number(event.cursor.split('.')[1]) });
        }
      });
      opened.on('close', () => resolve());
      opened.on('error', () => resolve());
    });

  const running = (async () => {
    while (!stop.signal.aborted) {
      await connectOnce();
      await pause(RETRY_MS, stop.signal);
    }
  })();
  return {
    events,
    async [Symbol.asyncDispose]() {
      stop.abort();
      socket?.terminate();
      await running;
    },
  };
}
