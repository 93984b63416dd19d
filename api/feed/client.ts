import type { WebSocket } from 'ws';
import { formatCursor } from '../../domain/events/cursor.ts';
import type { Log } from '../../observability/log.ts';
import { checkCursor, FeedError, findFeedSubject, readFeed, readHead } from '../../store/feed.ts';
import type { FeedFilter } from '../../store/feed.ts';
import type { Pool } from '../../store/pool.ts';
import type { Viewer } from '../../store/principals.ts';
import { CLOSES, FeedClosed } from './close.ts';
import { frameOf, isShown, joined, line } from './frame.ts';
import type { Frame } from './frame.ts';
import type { FeedQuery } from './query.ts';
import { BACKFILL_PAGE_EVENTS, CHUNK_BYTES, CLOSE_TIMEOUT_MS, LEAVE_TIMEOUT_MS } from './settings.ts';
import type { FeedSettings } from './settings.ts';
import type { Batch, Tail } from './tail.ts';
import type { Turns } from './turns.ts';

/** Stands for an execution that does not exist: its feed is as silent as that of one that may not be seen. */
const NO_EXECUTION = '00000000-0000-0000-0000-000000000000';

interface ClientDeps {
  socket: WebSocket;
  query: FeedQuery;
  viewer: Viewer;
  pool: Pool;
  tail: Tail;
  turns: Turns;
  settings: FeedSettings;
  log: Log;
  onSent: (events: number) => void;
  onSlow: (bufferedBytes: number) => void;
}

export interface FeedClient {
  /** Ends when the connection does. */
  readonly ended: Promise<void>;
  readonly sent: number;
  /** Says good-bye with the cursor, then closes with 1001. */
  leave(): void;
  /** Tells the cursor when it moved since the client last heard of it, as filters can hide events for long. */
  tellCursor(): void;
}

/**
 * One client of the feed.
 *
 * starting: the query becomes a place in the feed (`feed.ready`).
 * catching up: older events in chunks, each flushed before the next is read: from the database, in turns with the other
 *   clients, until the tail's recent events reach back far enough; then from those.
 * live: entered in the same synchronous step that sends the last recent events (`feed.live`), so nothing fits between.
 *   Batches come from the tail; what was sent already is dropped by position; more than `bufferBytes` waiting ends it.
 * closed: by the client, or by the server with a named reason. Nothing is durable: the client's cursor is all there is.
 */
export function serveClient(deps: ClientDeps): FeedClient {
  const { socket, query, viewer, pool, tail, turns, settings } = deps;
  const gone = new AbortController();
  let filter: FeedFilter = {};
  let epoch = '';
  /** Everything shown up to this position has been handed to the socket. */
  let position = 0;
  /** What the client knows as its cursor. */
  let told = 0;
  let sent = 0;
  let live = false;
  /** Without a filter all strangers get the same bytes. */
  let isPlain = false;

  socket.on('close', () => gone.abort(new Error('the client is gone')));
  // A socket's error is followed by its close.
  socket.on('error', () => undefined);

  const isOpen = () => socket.readyState === socket.OPEN;
  const cursor = () => formatCursor({ epoch, position });

  function close(reason: FeedClosed): void {
    if (!isOpen()) return;
    const [number, text] = CLOSES[reason.code];
    // Whoever does not read would not read this either, and the buffer is full.
    if (reason.code === 'slow_consumer') deps.onSlow(socket.bufferedAmount);
    else
      socket.send(
        line({ type: 'error', error_code: reason.code, code: reason.code, error: text, ...reason.details }),
      );
    end(number, reason.code);
  }

  function end(number: number, reason: string, timeoutMs = CLOSE_TIMEOUT_MS): void {
    live = false;
    socket.close(number, reason);
    const timer = setTimeout(() => socket.terminate(), timeoutMs);
    socket.once('close', () => clearTimeout(timer));
  }

  /** Sends and waits until the client's side took it, so that at most one chunk waits. */
  async function flush(frames: readonly Frame[]): Promise<void> {
    for (let next = 0; next < frames.length;) {
      let text = '';
      const first = next;
      while (next < frames.length && text.length < CHUNK_BYTES) text += frames[next++]!.text;
      position = frames[next - 1]!.event.position;
      await flushText(text);
      count(next - first);
    }
  }

  async function flushText(text: string): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => reject(new FeedClosed('slow_consumer')), settings.flushTimeoutMs);
      socket.send(text, (error) => (error == null ? resolve() : reject(error)));
    }).finally(() => clearTimeout(timer));
  }

  function count(events: number): void {
    sent += events;
    deps.onSent(events);
  }

  async function begin(): Promise<void> {
    const head = await readHead(pool);
    ({ epoch } = head);
    if (query.start === undefined) position = head.position;
    else if (query.start === 'start') position = head.floor;
    else {
      checkCursor(query.start, head);
      position = query.start.position;
    }
    filter = { jobId: query.jobId, types: query.types };
    if (query.execution !== undefined) {
      const found = await findFeedSubject(pool, query.execution);
      filter.executionId =
        found?.executionId ?? (query.execution.includes('-') ? query.execution : NO_EXECUTION);
      if (found?.jobId != null) filter.jobId ??= found.jobId;
    }
    const now = formatCursor({ epoch, position: head.position });
    await flushText(
      line({ type: 'feed.ready', cursor: cursor(), head: now, timestamp: new Date().toISOString() }),
    );
    told = position;
  }

  async function catchUp(): Promise<void> {
    for (;;) {
      gone.signal.throwIfAborted();
      const recent = tail.since(position, CHUNK_BYTES);
      if (recent?.complete === true) {
        goLive(recent.frames);
        return;
      }
      if (recent !== undefined) {
        await flush(recent.frames.filter((frame) => isShown(frame, viewer, filter)));
        position = recent.frames.at(-1)!.event.position;
        continue;
      }
      const page = await turns.take(gone.signal, () =>
        readFeed(pool, { after: position, limit: BACKFILL_PAGE_EVENTS, filter, viewer }),
      );
      checkCursor({ epoch, position }, page.head);
      await flush(page.events.map((event) => frameOf(event, epoch)));
      position = page.through;
    }
  }

  function goLive(frames: readonly Frame[]): void {
    live = true;
    isPlain =
      !viewer.all && viewer.owner === null && Object.values(filter).every((wanted) => wanted === undefined);
    const leave = tail.join({ onBatch, onReset });
    gone.signal.addEventListener('abort', leave, { once: true });
    const shown = frames.filter((frame) => isShown(frame, viewer, filter));
    position = Math.max(position, frames.at(-1)?.event.position ?? 0);
    socket.send(shown.map(({ text }) => text).join('') + line({ type: 'feed.live', cursor: cursor() }));
    told = position;
    count(shown.length);
  }

  function onBatch(batch: Batch): number {
    if (!live) return 0;
    const whole = isPlain && batch.frames[0]!.event.position > position;
    const { text, count: events, last } = whole ? batch.open : joined(batch.frames.filter(isNew));
    position = Math.max(position, batch.frames.at(-1)!.event.position);
    if (events === 0) return 0;
    // What waits never exceeds the limit, but a single batch above it goes to whoever has read everything before.
    if (socket.bufferedAmount > 0 && socket.bufferedAmount + text.length > settings.bufferBytes) {
      close(new FeedClosed('slow_consumer'));
      return 0;
    }
    socket.send(text, { binary: false });
    told = last;
    sent += events;
    return events;
  }

  const isNew = (frame: Frame) => frame.event.position > position && isShown(frame, viewer, filter);

  function onReset(floor: string): void {
    close(new FeedClosed('stale_cursor', { floor }));
  }

  async function run(): Promise<void> {
    let release: (() => void) | undefined;
    try {
      release = await tail.hold();
      await begin();
      await catchUp();
    } catch (error) {
      const reason = reasonOf(error);
      if (reason.code === 'internal' && isOpen())
        deps.log.warn({ err: error }, 'feed client cannot be served');
      close(reason);
    }
    if (!gone.signal.aborted) {
      await new Promise((resolve) => gone.signal.addEventListener('abort', resolve, { once: true }));
    }
    release?.();
  }

  return {
    ended: run(),
    get sent() {
      return sent;
    },
    leave() {
      if (!isOpen()) return;
      if (epoch !== '') socket.send(line({ type: 'feed.closing', cursor: cursor() }));
      end(CLOSES.going_away[0], epoch === '' ? 'going_away' : cursor(), LEAVE_TIMEOUT_MS);
    },
    tellCursor() {
      if (!live || told === position) return;
      socket.send(line({ type: 'feed.cursor', cursor: cursor() }));
      told = position;
    },
  };
}

function reasonOf(error: unknown): FeedClosed {
  if (error instanceof FeedClosed) return error;
  if (error instanceof FeedError) return new FeedClosed('stale_cursor', { floor: error.floor });
  return new FeedClosed('internal');
}
