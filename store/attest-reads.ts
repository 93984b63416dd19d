import type { Failure } from '../domain/failure.ts';
import type { Plan } from '../domain/jobspec/plan.ts';
import type { AttemptState, ExecutionState } from '../domain/states.ts';
import { prepared, type Queryable } from './pool.ts';

/** The job that executions belong to, as a receipt states it. */
export interface AttestedJob {
  id: string;
  owner: string;
  form: string;
  specSha256: Buffer;
  visibility: string;
  plan: Plan;
  cancelRequested: boolean;
}

export interface AttestedAttempt {
  attempt: number;
  state: AttemptState;
  backend: string;
  region: string | null;
  external_ids: Record<string, string>;
  outcome: object | null;
  failure: Failure | null;
  duration_ms: number | null;
  created_at: string;
  ended_at: string | null;
  /** Null of a place that costs nothing. */
  cost: { platform: string; cap: string; accepted: string | null } | null;
}

export interface AttestedFile {
  name: string;
  size: number;
  mime: string;
  sha256: string;
  cid: string | null;
}

export interface AttestedExecution {
  id: string;
  index: number;
  state: ExecutionState;
  follows: string | null;
  region: string | null;
  model: string | null;
  question_index: number | null;
  question: string | null;
  attempts: AttestedAttempt[];
  /** Of the last attempt that has an outcome. */
  files: (AttestedFile & { attempt: number })[];
}

/** Apart for each way of naming the executions, so that both have a plan of their own. */
const read = (name: string, which: string) =>
  prepared(
    name,
    `select j.id, j.owner, j.form, j.raw, sha256(j.raw) as "specSha256", j.visibility, j.plan,
          j.cancel_requested_at is not null as "cancelRequested",
          (select coalesce(json_agg(row_to_json(x)), '[]') from (
             select e.id, e.idx as index, e.state, e.follows, e.region, e.model, e.question as question_index,
                    e.question_text as question,
                    (select coalesce(json_agg(json_build_object(
                       'attempt', a.attempt, 'state', a.state, 'backend', a.backend, 'region', a.region,
                       'external_ids', a.external_ids, 'outcome', a.outcome, 'failure', a.failure,
                       'duration_ms', a.duration_ms, 'created_at', a.created_at, 'ended_at', a.ended_at,
                       'cost', (select json_build_object('platform', p.platform, 'cap', p.cap::text, 'accepted', p.accepted::text)
                                from payments p where p.execution_id = a.execution_id and p.attempt = a.attempt))
                       order by a.attempt), '[]')
                     from attempts a where a.execution_id = e.id) as attempts,
                    (select coalesce(json_agg(json_build_object(
                       'attempt', f.attempt, 'name', f.name, 'size', f.size, 'mime', f.mime,
                       'sha256', encode(f.sha256, 'hex'), 'cid', f.cid) order by f.name collate "C"), '[]')
                     from files f where f.execution_id = e.id and f.direction = 'output') as files
             from executions e
             where e.job_id = $1 and e.follows is null and ${which}
             order by e.idx limit $2
           ) x) as executions
   from jobs j where j.id = $1`,
  );
const READ_INDEXES = read('read-for-attest', 'e.idx = any($3::int[])');
const READ_OPEN = read('read-open-for-attest', 'e.receipt_cid is null');

/** What `attest` builds receipts from: stored values only. */
export async function readForAttest(
  db: Queryable,
  jobId: string,
  indexes: readonly number[] | 'open',
  limit: number,
): Promise<{ job: AttestedJob; raw: Buffer; executions: AttestedExecution[] }> {
  const { rows } = await db.query<AttestedJob & { raw: Buffer; executions: AttestedExecution[] }>(
    indexes === 'open' ? READ_OPEN([jobId, limit]) : READ_INDEXES([jobId, limit, indexes]),
  );
  const row = rows[0];
  if (row === undefined) throw new Error(`no job ${jobId}`);
  const { raw, executions, ...job } = row;
  return { job, raw, executions };
}

/** Executions of a job that have no receipt yet. */
export async function countOpen(db: Queryable, jobId: string): Promise<number> {
  const { rows } = await db.query<{ open: number }>('select open from jobs where id = $1', [jobId]);
  return rows[0]?.open ?? 0;
}
