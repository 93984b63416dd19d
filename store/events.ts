import type { EventPayload, EventType } from '../domain/events/event-types.ts';
import { LIMITS } from '../domain/limits.ts';
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

/** The columns of a batch, as arrays for `unnest`. */
function columns(events: readonly NewEvent[], texts: readonly string[]) {
  return [
    events.map((event) => event.type),
    texts,
    events.map((event) => event.idempotencyKey ?? null),
    events.map((event) => event.jobId ?? null),
    events.map((event) => event.executionId ?? null),
    events.map((event) => event.actor ?? null),
    events.map((event) => event.correlationId ?? null),
    events.map((event) => event.owner ?? null),
    events.map((event) => event.visibility ?? 'public'),
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
  await tx.query(
    `with head as (update streams set seq = seq + $3 where stream = $1)
     insert into events (stream, seq, type, payload, idempotency_key, execution_id, actor, correlation_id, job_id, owner,
       visibility)
     select $1, $2 + place, type, payload::json, idempotency_key, execution_id, actor, correlation_id, job_id, owner,
       visibility
     from unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::uuid[], $9::text[], $10::text[], $11::text[],
       $12::text[]) with ordinality as event (type, payload, idempotency_key, job_id, execution_id, actor,
       correlation_id, owner, visibility, place)`,
    [stream, head, fresh.length, ...columns(fresh, freshTexts)],
  );
  return appended;
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
