import { formatCursor } from '../../domain/events/cursor.ts';
import type { FeedEvent, FeedFilter } from '../../store/feed.ts';
import type { Viewer } from '../../store/principals.ts';

/** An event, and the line that every client of it gets. */
export interface Frame {
  event: FeedEvent;
  text: string;
}

/**
 * One object on one line that ends in a newline: clients split the stream at newlines and keep what follows the last.
 * They read the payload's fields at the top level, older ones under `data` (docs/feed.md).
 */
export function frameOf(event: FeedEvent, epoch: string): Frame {
  const object = {
    type: event.type,
    cursor: formatCursor({ epoch, position: event.position }),
    timestamp: event.recordedAt.toISOString(),
    ...(event.jobId === null ? {} : { job_id: event.jobId }),
    ...(event.executionId === null ? {} : { execution_id: event.executionId }),
    ...event.payload,
    stream: event.stream,
    seq: event.seq,
    data: event.payload,
  };
  // A payload may not pass itself off as another type or place.
  return { event, text: line({ ...object, type: event.type, cursor: object.cursor }) };
}

/** A line that is not an event: `feed.ready`, `feed.live`, `feed.cursor`, `feed.closing`, `error`. */
export function line(object: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify(object)}\n`;
}

export function isShown(
  { event }: Frame,
  viewer: Viewer,
  { jobId, executionId, types }: FeedFilter,
): boolean {
  return (
    (event.visibility === 'public' ||
      viewer.all ||
      (viewer.owner !== null && event.owner === viewer.owner)) &&
    (jobId === undefined || event.jobId === jobId) &&
    (executionId === undefined || event.executionId === executionId) &&
    (types === undefined || types.includes(event.type))
  );
}

/** Lines that are sent together, and the position of the last. */
export interface Lines {
  text: Buffer;
  count: number;
  last: number;
}

export function joined(frames: readonly Frame[]): Lines {
  return {
    text: Buffer.from(frames.map(({ text }) => text).join('')),
    count: frames.length,
    last: frames.at(-1)?.event.position ?? 0,
  };
}
