import { KIB, MIB } from '../../domain/limits.ts';

/** What an operator may want otherwise; `config/settings.ts` fills it from the environment. */
export interface FeedSettings {
  /** Open connections of this process, and from one address; one more is closed with 4429. */
  maxClients: number;
  maxClientsPerAddress: number;
  /** What may wait to be sent to one live client before it is closed with 4408. */
  bufferBytes: number;
  /** Pages of older events that are read from the database at once; other clients wait for their turn. */
  backfillsAtOnce: number;
  /** Ping interval; a client that did not answer one until the next is gone. */
  pingMs: number;
  /** How long a client may take to read one chunk of older events. */
  flushTimeoutMs: number;
}

export const FEED_DEFAULTS: FeedSettings = {
  maxClients: 2_000,
  maxClientsPerAddress: 100,
  bufferBytes: MIB,
  backfillsAtOnce: 4,
  // Below the 60 s after which common proxies drop a silent connection.
  pingMs: 30_000,
  flushTimeoutMs: 30_000,
};

/** Clients have nothing to say: what they send is thrown away, and much of it ends the connection. */
export const CLIENT_MESSAGE_BYTES = KIB;
/** Older events are sent in chunks, each read by the client before the next: no memory is bound by a slow one. */
export const CHUNK_BYTES = 256 * KIB;
export const BACKFILL_PAGE_EVENTS = 200;
/** Events that the tail reads at once. Small, so that sockets drain between two pages when it catches up. */
export const TAIL_PAGE_EVENTS = 200;
/** Recent events kept for the cut-over, by number and by size. */
export const RECENT_EVENTS = 4_096;
export const RECENT_BYTES = 4 * MIB;
/** The net below lost notifications (spec: core §7). */
export const POLL_MS = 250;
/** How long a closed client may take to answer the close before its socket is destroyed. */
export const CLOSE_TIMEOUT_MS = 5_000;
/** The same when the server shuts down, which should not take long. */
export const LEAVE_TIMEOUT_MS = 2_000;
