import { uuidv7obj } from 'uuidv7';
import type { Plan } from '../domain/jobspec/plan.ts';
import { COUNTER_SHARDS } from './counters.ts';
import { byteaArray, intArray, jsonArray, textArray, uuidArray } from './binary-array.ts';
import type { Queryable } from './pool.ts';

/** A job that passed every check and is to be stored. Every text is bounded and free of NUL before it comes here. */
export interface Submit {
  /** The id that the body named, or a generated one. */
  id: string;
  /** Whether the body named `id`: a generated one is no claim. */
  idGiven: boolean;
  /** The job's public key, base64. */
  owner: string;
  /** Canonical form under which the signature held. */
  form: string;
  /** SHA-256 of the message that was signed. */
  messageSha256: Uint8Array;
  /** SHA-256 of the body as received. */
  requestSha256: Uint8Array;
  nonce: string | null;
  idempotencyKey: string | null;
  raw: Uint8Array;
  name: string;
  plan: Plan;
  /** Texts of the questions that the plan counts. */
  questions: readonly string[];
  visibility: 'public' | 'private';
  /** W3C trace context of the request, where traces are written. */
  traceparent?: string | null;
}

export type Submitted =
  | { kind: 'accepted'; id: string }
  /** The same signed message (or the same body under its idempotency key) is stored as `id`. */
  | { kind: 'known'; id: string }
  | { kind: 'replay'; of: 'message' | 'nonce'; id: string }
  | { kind: 'id_taken'; id: string }
  | { kind: 'idempotency_key_reused'; id: string };

interface BatchKind {
  traced: boolean;
  withPrivate: boolean;
}

/** A batch without traces does not carry their column along, one without private jobs does not count them by key. */
const insertJobs = ({ traced, withPrivate }: BatchKind) => ({
  name: `submit-batch${traced ? '-traced' : ''}${withPrivate ? '-private' : ''}`,
  text: `
with job as (
  insert into jobs (id, owner, form, message_sha256, request_sha256, nonce, idempotency_key, raw, name, plan, visibility, total, open, seq${traced ? ', traceparent' : ''})
  select s.id, s.owner, s.form, s.message_sha256, s.request_sha256, s.nonce, s.idempotency_key, s.raw, s.name, s.plan, s.visibility, s.total, s.total, 1${traced ? ', s.traceparent' : ''}
  from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bytea[], $6::text[], $7::text[], $8::bytea[], $9::text[], $10::json[], $11::text[], $12::int[]${traced ? ', $21::text[]' : ''})
    as s (id, owner, form, message_sha256, request_sha256, nonce, idempotency_key, raw, name, plan, visibility, total${traced ? ', traceparent' : ''})
  on conflict do nothing
  returning id, owner, visibility, total
), accepted as (
  -- The rows' own created_at, written once for all events.
  select count(*) as n, to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at from job
), head as (
  -- The events get their places at once. The lock is held until the commit, as in give_positions: whoever reads the head
  -- afterwards sees all events up to it. It is taken last: what nothing refers to is carried out from the end to here.
  update feed_head set position = position + accepted.n from accepted where accepted.n > 0
  returning position - accepted.n as before, accepted.at
), event as (
  insert into events (stream, seq, position, type, payload, job_id, owner, visibility, actor)
  select 'job:' || job.id, 1, head.before + row_number() over (), 'job.accepted',
         ('{"job_id":"' || job.id || '","executions":' || job.total || ',"timestamp":"' || head.at || '"}')::json,
         job.id, job.owner, job.visibility, 'key:' || job.owner
  from job, head
), execution as (
  insert into executions (id, origin_id, job_id, idx, region, model, question, question_text, visibility, owner)
  select e.id, job.id, job.id, e.idx, e.region, e.model, e.question, e.question_text, job.visibility,
         case when job.visibility = 'private' then job.owner end
  from unnest($13::text[], $14::uuid[], $15::int[], $16::text[], $17::text[], $18::int[], $19::text[])
    as e (job_id, id, idx, region, model, question, question_text)
  join job on job.id = e.job_id
), start as (
  insert into outbox (kind, job_id, owner) select 'start', job.id, job.owner from job
), counted as (
  update counters set value = value + e.n
  from (
    select 'jobs_enqueued_total' as name, count(*) as n from job
    union all
    select 'executions_' || visibility, sum(total) from job group by visibility
  ) e
  where counters.name = e.name and shard = $20
)${withPrivate ? COUNTED_PRIVATE : ''}
select id from job`,
});
const COUNTED_PRIVATE = `, counted_private as (
  insert into private_executions as p (owner, shard, value)
  select owner, $20, sum(total) from job where visibility = 'private' group by owner order by owner
  on conflict (owner, shard) do update set value = p.value + excluded.value
)`;

/**
 * Stores a batch in one round trip: what clashes with a stored row is left out, everything else of a job comes with its
 * row. Returns the ids that were stored. The batch is sorted by its unique key first: batches of two processes that take
 * the same keys in different orders would wait for each other.
 */
export async function insertBatch(db: Queryable, batch: readonly Submit[]): Promise<Set<string>> {
  const jobs = batch.toSorted(byUniqueKey);
  const work = jobs.flatMap(({ id, plan, questions }) =>
    plan.executions.map(([region, model, question], idx) => ({
      job: id,
      idx,
      region: plan.regions[region] ?? null,
      model: plan.models[model] ?? null,
      question: question < 0 ? null : question,
      text: questions[question] ?? null,
    })),
  );
  const traced = jobs.some(({ traceparent }) => typeof traceparent === 'string');
  const { rows } = await db.query<{ id: string }>({
    ...insertJobs({ traced, withPrivate: jobs.some(({ visibility }) => visibility === 'private') }),
    values: [
      textArray(jobs.map((job) => job.id)),
      textArray(jobs.map((job) => job.owner)),
      textArray(jobs.map((job) => job.form)),
      byteaArray(jobs.map((job) => job.messageSha256)),
      byteaArray(jobs.map((job) => job.requestSha256)),
      textArray(jobs.map((job) => job.nonce)),
      textArray(jobs.map((job) => job.idempotencyKey)),
      byteaArray(jobs.map((job) => job.raw)),
      textArray(jobs.map((job) => job.name)),
      jsonArray(jobs.map((job) => JSON.stringify(job.plan))),
      textArray(jobs.map((job) => job.visibility)),
      intArray(jobs.map((job) => job.plan.executions.length)),
      textArray(work.map((execution) => execution.job)),
      uuidArray(work.map(() => uuidv7obj().bytes)),
      intArray(work.map((execution) => execution.idx)),
      textArray(work.map((execution) => execution.region)),
      textArray(work.map((execution) => execution.model)),
      intArray(work.map((execution) => execution.question)),
      textArray(work.map((execution) => execution.text)),
      Math.floor(Math.random() * COUNTER_SHARDS),
      ...(traced ? [textArray(jobs.map(({ traceparent }) => traceparent ?? null))] : []),
    ],
  });
  return new Set(rows.map((row) => row.id));
}

function byUniqueKey(a: Submit, b: Submit): number {
  return a.owner === b.owner ? Buffer.compare(a.messageSha256, b.messageSha256) : a.owner < b.owner ? -1 : 1;
}

interface Clash {
  ord: number;
  by: 'key' | 'message' | 'nonce' | 'id';
  id: string;
  same_message: boolean;
  same_request: boolean;
}

const FIND_CLASHES = {
  name: 'submit-clashes',
  text: `
with s as (
  select * from unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::text[], $6::text[]) with ordinality
    as s (id, owner, message_sha256, request_sha256, nonce, idempotency_key, ord)
)
select s.ord, 'key' as by, j.id, j.message_sha256 = s.message_sha256 as same_message, j.request_sha256 = s.request_sha256 as same_request
  from s join jobs j on j.owner = s.owner and j.idempotency_key = s.idempotency_key
union all
select s.ord, 'message', j.id, true, j.request_sha256 = s.request_sha256
  from s join jobs j on j.owner = s.owner and j.message_sha256 = s.message_sha256
union all
select s.ord, 'nonce', j.id, j.message_sha256 = s.message_sha256, false
  from s join jobs j on j.owner = s.owner and j.nonce = s.nonce
union all
select s.ord, 'id', j.id, false, false
  from s join jobs j on j.id = s.id`,
};

/**
 * Says why submits were left out, in the order in which the rules ask (docs/decisions.md, replay): idempotency key,
 * message, nonce, id. Undefined where nothing clashes any more: the submit may be tried again.
 */
export async function classify(
  db: Queryable,
  submits: readonly Submit[],
): Promise<(Submitted | undefined)[]> {
  const { rows } = await db.query<Clash>({
    ...FIND_CLASHES,
    values: [
      textArray(submits.map((submit) => submit.id)),
      textArray(submits.map((submit) => submit.owner)),
      byteaArray(submits.map((submit) => submit.messageSha256)),
      byteaArray(submits.map((submit) => submit.requestSha256)),
      textArray(submits.map((submit) => submit.nonce)),
      textArray(submits.map((submit) => submit.idempotencyKey)),
    ],
  });
  return submits.map((submit, index) =>
    verdict(
      submit,
      rows.filter((row) => row.ord === index + 1),
    ),
  );
}

function verdict(submit: Submit, clashes: readonly Clash[]): Submitted | undefined {
  const found = (by: Clash['by']) => clashes.find((clash) => clash.by === by);
  const sameJob = (clash: Clash) => !submit.idGiven || clash.id === submit.id;
  const key = found('key');
  if (key !== undefined) {
    const same = key.same_request || (key.same_message && sameJob(key));
    return { kind: same ? 'known' : 'idempotency_key_reused', id: key.id };
  }
  const message = found('message');
  if (message !== undefined) {
    return sameJob(message)
      ? { kind: 'known', id: message.id }
      : { kind: 'replay', of: 'message', id: message.id };
  }
  const nonce = found('nonce');
  if (nonce !== undefined) return { kind: 'replay', of: 'nonce', id: nonce.id };
  const id = found('id');
  return id === undefined ? undefined : { kind: 'id_taken', id: id.id };
}
