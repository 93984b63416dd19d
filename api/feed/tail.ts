import { setImmediate as nextTurn } from 'node:timers/promises';
import { formatCursor } from '../../domain/events/cursor.ts';
import { pause } from '../../domain/pause.ts';
import type { Log } from '../../observability/log.ts';
import { readHead, readTail } from '../../store/feed.ts';
import type { Wakeups } from '../../store/notify.ts';
import type { Pool } from '../../store/pool.ts';
import { STRANGER } from '../../store/principals.ts';
import { frameOf, isShown, joined } from './frame.ts';
import type { Frame, Lines } from './frame.ts';
import { CHUNK_BYTES, POLL_MS, RECENT_BYTES, RECENT_EVENTS, TAIL_PAGE_EVENTS } from './settings.ts';

const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5_000;

/** Events that were read together, in position order. */
export interface Batch {
  frames: readonly Frame[];
  /** The lines of all public ones, made once for all clients without a filter. */
  readonly open: Lines;
}

interface Listener {
  /** Returns how many events it took. */
  onBatch(batch: Batch): number;
  /** The database was restored: its positions are others now, from `floor` on. */
  onReset(floor: string): void;
}

/**
 * The one reader of new events in this process, for all its clients. It works while at least one client holds it.
 *
 * `recent` holds the last events, gap-free from `from` (exclusive) to `position`. A client that has everything up to a
 * place in that range joins in one synchronous step: it gets the rest of `recent` and then every batch. That is the
 * cut-over without loss or repeat; there is no moment between "read" and "listening".
 */
export interface Tail {
  /** Resolves once the tail reads; the client must release what it got. */
  hold(): Promise<() => void>;
  /** Recent events after `position`, oldest first, at most about `bytes`; undefined when some are no longer there. */
  since(position: number, bytes: number): { frames: readonly Frame[]; complete: boolean } | undefined;
  join(listener: Listener): () => void;
  readonly position: number;
}

interface TailOptions {
  pool: Pool;
  wakeups: Wakeups;
  log: Log;
  onDelivered: (events: number) => void;
}

export function createTail({ pool, wakeups, log, onDelivered }: TailOptions): Tail & AsyncDisposable {
  const listeners = new Set<Listener>();
  let recent: Frame[] = [];
  let recentBytes = 0;
  let from = 0;
  let position = 0;
  let epoch = '';
  let holders = 0;
  let reading: { stop: AbortController; started: Promise<void>; ended: Promise<void> } | undefined;

  function forget(head: { epoch: string; position: number }): void {
    recent = [];
    recentBytes = 0;
    ({ epoch, position } = head);
    from = position;
  }

  function keep(frames: readonly Frame[]): void {
    recent.push(...frames);
    for (const { text } of frames) recentBytes += text.length;
    let gone = 0;
    while (recent.length - gone > RECENT_EVENTS || (recentBytes > RECENT_BYTES && gone < recent.length)) {
      recentBytes -= recent[gone]!.text.length;
      from = recent[gone]!.event.position;
      gone++;
    }
    if (gone > 0) recent = recent.slice(gone);
  }

  async function readOn(signal: AbortSignal): Promise<void> {
    const { events, head } = await readTail(pool, position, TAIL_PAGE_EVENTS);
    if (signal.aborted) return;
    if (head.epoch !== epoch || head.position < position) {
      log.warn({ before: epoch, after: head.epoch }, 'the feed has another epoch, clients must begin anew');
      forget(head);
      const floor = formatCursor({ epoch, position: head.floor });
      for (const listener of [...listeners]) listener.onReset(floor);
    } else if (events.length > 0) {
      const frames = events.map((event) => frameOf(event, epoch));
      position = events.at(-1)!.position;
      keep(frames);
      // Sockets drain between two lots. Who joins meanwhile has the rest already and drops it by position.
      for (const lot of lotsOf(frames, CHUNK_BYTES)) {
        deliver(lot);
        await nextTurn();
      }
    }
    if (events.length < TAIL_PAGE_EVENTS) await wakeups.next('feed', POLL_MS, signal);
  }

  function deliver(frames: readonly Frame[]): void {
    const batch = createBatch(frames);
    let delivered = 0;
    for (const listener of [...listeners]) delivered += listener.onBatch(batch);
    if (delivered > 0) onDelivered(delivered);
  }

  async function read(signal: AbortSignal): Promise<void> {
    let retryMs = RETRY_MIN_MS;
    while (!signal.aborted) {
      try {
        await readOn(signal);
        retryMs = RETRY_MIN_MS;
      } catch (error) {
        if (retryMs === RETRY_MIN_MS) log.warn({ err: error }, 'feed cannot be read, trying again');
        await pause(retryMs, signal);
        retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
      }
    }
  }

  function start(): NonNullable<typeof reading> {
    const stop = new AbortController();
    const started = readHead(pool).then(forget);
    const ended = started.then(
      () => read(stop.signal),
      () => undefined,
    );
    return { stop, started, ended };
  }

  async function release(): Promise<void> {
    if (--holders > 0) return;
    const { stop, ended } = reading!;
    reading = undefined;
    stop.abort();
    await ended;
  }

  return {
    get position() {
      return position;
    },
    async hold() {
      holders++;
      reading ??= start();
      let held = true;
      try {
        await reading.started;
      } catch (error) {
        await release();
        throw error;
      }
      return () => {
        if (held) void release();
        held = false;
      };
    },
    since(after, bytes) {
      if (after < from) return undefined;
      let first = recent.length;
      while (first > 0 && recent[first - 1]!.event.position > after) first--;
      const { value: frames = [] } = lotsOf(recent.slice(first), bytes).next() as {
        value?: readonly Frame[];
      };
      return { frames, complete: first + frames.length === recent.length };
    },
    join(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async [Symbol.asyncDispose]() {
      reading?.stop.abort();
      await reading?.ended;
    },
  };
}

function createBatch(frames: readonly Frame[]): Batch {
  let open: Lines | undefined;
  return {
    frames,
    get open() {
      return (open ??= joined(frames.filter((frame) => isShown(frame, STRANGER, {}))));
    },
  };
}

/** In lots of about `bytes`. */
function* lotsOf(frames: readonly Frame[], bytes: number): Generator<readonly Frame[]> {
  for (let first = 0; first < frames.length;) {
    let end = first;
    for (let taken = 0; end < frames.length && taken < bytes; end++) taken += frames[end]!.text.length;
    yield frames.slice(first, end);
    first = end;
  }
}
