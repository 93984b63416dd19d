/** Every way in which the server ends a feed connection; those above 4000 are ours (docs/feed.md). */
export const CLOSES = {
  going_away: [1001, 'the server shuts down; connect again with the cursor'],
  internal: [1011, 'the feed cannot be read now; connect again with the cursor'],
  invalid_query: [4400, 'the query of the feed is not valid'],
  slow_consumer: [4408, 'the events are not read fast enough; connect again with the cursor'],
  stale_cursor: [4410, 'the events after this cursor are no longer kept; start at the floor'],
  too_many_connections: [4429, 'too many connections to the feed; try again later'],
} as const satisfies Record<string, readonly [number, string]>;

type CloseReason = keyof typeof CLOSES;

/** Ends one client's feed for `reason`; `details` stand in the error object that is sent before the close. */
export class FeedClosed extends Error {
  override readonly name = 'FeedClosed';
  readonly code: CloseReason;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: CloseReason, details: Readonly<Record<string, unknown>> = {}) {
    super(CLOSES[code][1]);
    this.code = code;
    this.details = details;
  }
}
