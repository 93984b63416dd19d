import type { EventPayload, EventType } from '../domain/events/event-types.ts';
import { LIMITS } from '../domain/limits.ts';
import { jsonArray, textArray } from './binary-array.ts';
import type { Queryable, Transaction } from './pool.ts';

/** One fact to be appended to a stream. */
export interface NewEvent {
  type: EventType;
  payload: EventPayload;
  /** Filter columns of the feed. */
  jobId?: string | null;
  executionId?: string | null;
  /** Whose it is and who sees it (spec: core §13). */
  owner?: string | null;
  visibility?: 'public' | 'private';
  /** Unique in its stream: the same event appended twice is stored once. */
  idempotencyKey?: string;
  actor?: string;
  correlationId?: string;
}

export interface AppendedEvent {
  seq: number;
  /** True when an event with this idempotency key and the same content stood in the stream already. */
  repeated: boolean;
}

export interface AppendOptions {
  /** Append only when this is the stream's last seq (0: the stream is empty). */
  expectedSeq?: number;
}

export type EventErrorCode = 'idempotency_conflict' | 'seq_conflict' | 'payload_too_large';

export class EventError extends Error {
  override readonly name = 'EventError';
  readonly code: EventErrorCode;
  constructor(code: EventErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

const COLUMNS = `type, payload, idempotency_key, job_id, execution_id, actor, correlation_id, owner, visibility`;
/** SQL: events as rows with their places, from the arrays of `columns` as the parameters from `$3` on. */
const EVENTS = `unnest($3::text[], $4::json[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
  $11::text[]) with ordinality as event (${COLUMNS}, place)`;
/** SQL: the columns of such a row, for its insert. */
const EVENT = COLUMNS.replace('execution_id', 'execution_id::uuid');

function columns(events: readonly NewEvent[], texts: readonly string[]): Buffer[] {
  const of = (column: (event: NewEvent) => string | null | undefined) =>
    textArray(events.map((event) => column(event) ?? null));
  return [
    of((event) => event.type),
    jsonArray(texts),
    of((event) => event.idempotencyKey),
    of((event) => event.jobId),
    of((event) => event.executionId),
    of((event) => event.actor),
    of((event) => event.correlationId),
    of((event) => event.owner),
    of((event) => event.visibility ?? 'public'),
  ];
}

function payloadText(event: NewEvent): string {
  const text = JSON.stringify(event.payload);
  const bytes = Buffer.byteLength(text);
  if (bytes > LIMITS.eventPayloadBytes) {
    throw new EventError('payload_too_large', `payload of ${event.type} has ${bytes} bytes`);
  }
  return text;
}

/**
 * Appends to a stream that is not a job's. Its head row stays locked until the transaction ends, so that commit order is
 * sequence order. An event whose idempotency key is known comes back with its seq; with another content it is an error.
 */
export async function appendToStream(
  tx: Transaction,
  stream: string,
  events: readonly NewEvent[],
  { expectedSeq }: AppendOptions = {},
): Promise<AppendedEvent[]> {
  const texts = events.map(payloadText);
  if (events.length === 0) return [];
  if (expectedSeq === undefined && events.every((event) => event.idempotencyKey === undefined)) {
    const last = await insert(tx, stream, events, texts);
    return events.map((_, index) => ({ seq: last - events.length + index + 1, repeated: false }));
  }
  const { rows: heads } = await tx.query<{ seq: number }>(
    `insert into streams (stream) values ($1)
     on conflict (stream) do update set seq = streams.seq returning seq`,
    [stream],
  );
  const head = heads[0]!.seq;
  const known = await findByKeys(tx, stream, events);

  const fresh: NewEvent[] = [];
  const freshTexts: string[] = [];
  const appended = events.map((event, index): AppendedEvent => {
    const key = event.idempotencyKey;
    const earlier = key === undefined ? undefined : known.get(key);
    if (earlier !== undefined) {
      if (earlier.type !== event.type || earlier.payload !== texts[index]) {
        throw new EventError('idempotency_conflict', `${key} stands in ${stream} with another content`);
      }
      return { seq: earlier.seq, repeated: true };
    }
    fresh.push(event);
    freshTexts.push(texts[index]!);
    const seq = head + fresh.length;
    if (key !== undefined) known.set(key, { seq, type: event.type, payload: texts[index]! });
    return { seq, repeated: false };
  });
  if (fresh.length === 0) return appended;
  if (expectedSeq !== undefined && expectedSeq !== head) {
    throw new EventError('seq_conflict', `${stream} stands at ${head}, not at ${expectedSeq}`);
  }
  await insert(tx, stream, fresh, freshTexts);
  return appended;
}

/** Appends what has no keys, and what was found to be new; answers the seq of the last one. */
async function insert(
  tx: Transaction,
  stream: string,
  events: readonly NewEvent[],
  texts: readonly string[],
): Promise<number> {
  const { rows } = await tx.query<{ seq: number }>(
    `with head as (
       insert into streams (stream, seq) values ($1, $2)
       on conflict (stream) do update set seq = streams.seq + excluded.seq returning seq
     ), events as (
       insert into events (stream, seq, ${COLUMNS})
       select $1, head.seq - $2 + place, ${EVENT} from head, ${EVENTS} order by place
     )
     select seq from head`,
    [stream, events.length, ...columns(events, texts)],
  );
  return rows[0]!.seq;
}

async function findByKeys(tx: Queryable, stream: string, events: readonly NewEvent[]) {
  const keys = events.flatMap((event) => event.idempotencyKey ?? []);
  const known = new Map<string, { seq: number; type: string; payload: string }>();
  if (keys.length === 0) return known;
  const { rows } = await tx.query<{ key: string; seq: number; type: string; payload: string }>(
    `select idempotency_key as key, seq, type, payload::text as payload from events
     where stream = $1 and idempotency_key = any($2)`,
    [stream, keys],
  );
  for (const { key, ...event } of rows) known.set(key, event);
  return known;
}
