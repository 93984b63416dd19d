import { formatCursor } from '../domain/events/cursor.ts';
import type { Cursor } from '../domain/events/cursor.ts';
import { prepared, type Queryable } from './pool.ts';
import { viewerValues, visibleTo, type Viewer } from './principals.ts';

/** Events that get their positions in one transaction: as in `give_positions`. */
export const POSITIONS_PER_BATCH = 1_000;
/** Positions that one query looks through when a filter has no index of its own, so that no query runs for long. */
const SCAN_POSITIONS = 5_000;

export interface FeedEvent {
  position: number;
  stream: string;
  seq: number;
  type: string;
  payload: Record<string, unknown>;
  jobId: string | null;
  executionId: string | null;
  owner: string | null;
  visibility: string;
  recordedAt: Date;
}

export interface FeedHead {
  epoch: string;
  /** The last position that was given. */
  position: number;
  /** Events at or below it are no longer kept. */
  floor: number;
}

export interface FeedFilter {
  jobId?: string | undefined;
  executionId?: string | undefined;
  types?: readonly string[] | undefined;
}

export type FeedErrorCode = 'stale_cursor';

/** The cursor is of another epoch, above the head or below the floor; `floor` is the oldest cursor that works. */
export class FeedError extends Error {
  override readonly name = 'FeedError';
  readonly code: FeedErrorCode = 'stale_cursor';
  readonly floor: string;
  constructor(floor: string) {
    super('the cursor does not belong to the events that are kept');
    this.floor = floor;
  }
}

const GIVE_POSITIONS = prepared('give positions', 'select give_positions() as given');

/**
 * Gives the next positions to events that have none (a job's first gets its own with the job), in the order of their ids,
 * and returns how many. Any number of replicas may call it: the head's row lock lets one work at a time, and whoever reads
 * the head afterwards sees all positions up to it. Events that commit late get a later position, so no cursor skips them.
 */
export async function givePositions(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ given: number }>(GIVE_POSITIONS([]));
  return rows[0]!.given;
}

export async function readHead(db: Queryable): Promise<FeedHead> {
  const { rows } = await db.query<FeedHead>('select epoch, position, floor from feed_head');
  return rows[0]!;
}

/** Throws `stale_cursor` when events after `cursor` cannot be given without a gap. */
export function checkCursor(cursor: Cursor, head: FeedHead): void {
  if (cursor.epoch !== head.epoch || cursor.position > head.position || cursor.position < head.floor) {
    throw new FeedError(formatCursor({ epoch: head.epoch, position: head.floor }));
  }
}

const COLUMNS = `e.position, e.stream, e.seq, e.type, e.payload, e.job_id as "jobId", e.execution_id as "executionId",
  e.owner, e.visibility, e.recorded_at as "recordedAt"`;

export interface FeedPage {
  events: FeedEvent[];
  /** All matching events up to here are in this page or were in earlier ones. */
  through: number;
  head: FeedHead;
}

type HeadColumns = { epoch: string; floor: number; head: number };
/** The left join gives the head alone, with nulls for the event, when no event matches. */
type Row = HeadColumns & (FeedEvent | { [column in keyof FeedEvent]: null });

function toPage(rows: readonly Row[], limit: number, upTo: number): FeedPage {
  const { epoch, floor, head: position } = rows[0]!;
  const events = rows.filter((row): row is HeadColumns & FeedEvent => row.position !== null);
  const through = events.length < limit ? Math.min(position, upTo) : events.at(-1)!.position;
  return { events, through, head: { epoch, floor, position } };
}

/** The head and the events after `after`, whoever may see them: for the one reader that serves all live clients. */
export async function readTail(db: Queryable, after: number, limit: number): Promise<FeedPage> {
  const { rows } = await db.query<Row>(
    `select h.epoch, h.floor, h.position as head, e.*
     from feed_head h left join lateral (
       select ${COLUMNS} from events e where e.position > $1 order by e.position limit $2
     ) e on true order by e.position`,
    [after, limit],
  );
  return toPage(rows, limit, Number.MAX_SAFE_INTEGER);
}

/**
 * One page of the feed in position order: what `viewer` may see and `filter` wants, after `after`. A page may be empty
 * although more follows: go on at `through` until it is the head.
 */
export async function readFeed(
  db: Queryable,
  {
    after,
    limit,
    filter = {},
    viewer,
  }: { after: number; limit: number; filter?: FeedFilter; viewer: Viewer },
): Promise<FeedPage> {
  const { jobId, executionId, types } = filter;
  // With a job the index finds its events wherever they lie; without one the query stops after so many positions.
  const upTo = jobId === undefined ? after + SCAN_POSITIONS : Number.MAX_SAFE_INTEGER;
  const { rows } = await db.query<Row>(
    `select h.epoch, h.floor, h.position as head, e.*
     from feed_head h left join lateral (
       select ${COLUMNS} from events e
       where e.position > $1 and e.position <= $3
         and ($4::text is null or e.job_id = $4) and ($5::uuid is null or e.execution_id = $5)
         and ($6::text[] is null or e.type = any($6))
         and ${visibleTo('e', 7)}
       order by e.position limit $2
     ) e on true order by e.position`,
    [after, limit, upTo, jobId ?? null, executionId ?? null, types ?? null, ...viewerValues(viewer)],
  );
  return toPage(rows, limit, upTo);
}

/** An execution by its id or number, with its job: a feed of one execution can use the index of its job. */
export async function findFeedSubject(
  db: Queryable,
  idOrNumber: string,
): Promise<{ executionId: string; jobId: string | null } | undefined> {
  const column = /^[0-9]+$/.test(idOrNumber) ? 'number' : 'id';
  const { rows } = await db.query<{ executionId: string; jobId: string | null }>(
    `select id as "executionId", job_id as "jobId" from executions where ${column} = $1`,
    [idOrNumber],
  );
  return rows[0];
}
