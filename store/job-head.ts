import type { Transaction } from './pool.ts';

/** A job's event before it has its sequence number. */
export interface JobEvent {
  type: string;
  /** Ids, hashes and sizes, never outputs; `timestamp` is added here. */
  payload: Record<string, unknown>;
  executionId?: string;
  /** Written only by the step that moves the job from accepted to running. */
  onStart?: boolean;
}

/** The columns of `unnest` that every statement writing job events takes. */
export function eventColumns(
  events: readonly JobEvent[],
  now: Date,
): [string[], string[], (string | null)[], boolean[]] {
  const timestamp = now.toISOString();
  return [
    events.map((event) => event.type),
    events.map((event) => JSON.stringify({ ...event.payload, timestamp })),
    events.map((event) => event.executionId ?? null),
    events.map((event) => event.onStart ?? false),
  ];
}

/**
 * Appends events to a job's stream and moves the job to `running` when it was only accepted. The job row is the head of
 * its stream: this takes its lock, last in the order of locks (execution, attempt, job), for one statement. Answers
 * whether this was the job's start, and how long it is since it was accepted.
 */
export async function appendToRunningJob(
  tx: Transaction,
  jobId: string,
  events: readonly JobEvent[],
): Promise<{ startedNow: boolean; waitedMs: number }> {
  const { rows } = await tx.query<{ started_now: boolean; waited_ms: number }>(
    `with head as (select id, state, seq, owner, visibility, created_at from jobs where id = $1 for no key update),
     fresh as (
       select row_number() over (order by ord) as n, e.type, e.payload, e.execution_id
       from unnest($2::text[], $3::text[], $4::uuid[], $5::bool[]) with ordinality as e (type, payload, execution_id, on_start, ord), head
       where not e.on_start or head.state = 'accepted'
     ),
     moved as (
       update jobs j
       set seq = j.seq + (select count(*) from fresh),
           state = case when j.state = 'accepted' then 'running' else j.state end,
           started_at = coalesce(j.started_at, now())
       from head where j.id = head.id
     ),
     told as (
       insert into events (stream, seq, type, payload, job_id, execution_id, owner, visibility)
       select 'job:' || head.id, head.seq + fresh.n, fresh.type, fresh.payload::json, head.id, fresh.execution_id, head.owner, head.visibility
       from fresh, head
     )
     select state = 'accepted' as started_now,
            (extract(epoch from now() - created_at) * 1000)::float8 as waited_ms
     from head`,
    [jobId, ...eventColumns(events, new Date())],
  );
  return { startedNow: rows[0]!.started_now, waitedMs: rows[0]!.waited_ms };
}
