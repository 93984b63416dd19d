/** The SQL behind `store-rows.js`: one statement a table, all from one plan of the rows. */

/** Jobs of every hundred that did not complete. */
const FAILED = 2;
const CANCELLED = 1;
/** Rows about running jobs that are due at once, as cancels are. */
const DUE = 20;

/** Shorter than real ones, which have 600 to 1,500 bytes: how many rows and pages there are decides, not their width. */
const DOCUMENT = (text) => `convert_to(repeat(md5(${text}), 8), 'UTF8')`;
const LEAF = (text) => `convert_to('{"body":"' || repeat(md5(${text}), 8) || '"}', 'UTF8')`;

const quoted = (text) => `'${text.replaceAll("'", "''")}'`;

/** How many events the rows have: eight of each ended job, four of a running one, one of a waiting one. */
const events = ({ jobs, waiting, ended }) => 8 * ended + 4 * (jobs - ended - waiting) + waiting;

/**
 * @param {{ shape: { jobs: number, waiting: number, ended: number, keys: number }, logId: string, keyId: string,
 *           body: string[], plan: string }} rows
 */
export function storeTables({ shape, logId, keyId, body, plan }) {
  const { jobs, ended, waiting, keys } = shape;
  const log = quoted(logId);
  const key = quoted(keyId);
  const raw = body.map(quoted).join(' || job || ');

  /** Every other job is of one key. Private are a tenth of all, and all of a long run. */
  const prepare = `
    create schema bench;
    create function bench.digest(text) returns bytea language sql immutable as $$ select sha256(convert_to($1, 'UTF8')) $$;
    create function bench.document(text) returns bytea language sql immutable as $$ select ${DOCUMENT('$1')} $$;
    create function bench.cid(bytea) returns text language sql immutable as $$ select 'bafkrei' || left(encode($1, 'hex'), 52) $$;
    create unlogged table bench.rows as
      select n, 'job-' || md5(n::text) as job, at,
             encode(bench.digest('key ' || case when n % 2 = 0 then 0 else 1 + n * 7919::bigint % ${keys} end), 'base64') as owner,
             case when n % 10 = 3 or n between ${jobs} * 0.6 and ${jobs} * 0.8 then 'private' else 'public' end as visibility,
             case when n > ${jobs - waiting} then 'accepted' when n > ${ended} then 'running'
                  when n <= ${ended} / 100 then 'expired' when n % 100 < ${FAILED} then 'failed'
                  when n % 100 < ${FAILED + CANCELLED} then 'cancelled' else 'completed' end as state,
             (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || left(md5('e' || n), 3) || '8'
               || substr(md5('e' || n), 4, 15))::uuid as execution,
             sha256(bench.document('receipt ' || n)) as receipt, sha256(bench.document('dsse ' || n)) as dsse,
             sha256(bench.document('summary ' || n)) as summary, sha256(bench.document('summary dsse ' || n)) as summary_dsse,
             sha256(bench.document('manifest ' || n)) as manifest,
             sha256(bench.document('output ' || case when n % 3 = 0 then 0 else n end)) as output
      from (select n, now() - (${jobs} - n) * interval '1 second' as at from generate_series(1, ${jobs}) as n) as numbered;
    analyze bench.rows`;
  const isEnded = `n <= ${ended}`;
  const hasRun = `state in ('completed', 'failed')`;

  /** The large ones first, since several are filled at once. */
  const tables = {
    events: `
      insert into events (stream, seq, position, type, payload, job_id, execution_id, owner, visibility, recorded_at)
      select case when e.k > 6 then 'log:' || ${log} else 'job:' || job end,
             case when e.k > 6 then 2 * n + e.k - 7 else e.k end,
             case when ${isEnded} then 8 * (n - 1) + e.k
                  when state = 'running' then ${8 * ended} + 4 * (n - ${ended} - 1) + e.k
                  else ${events({ jobs: ended, waiting: 0, ended })} + 4 * ${jobs - ended - waiting} + n - ${jobs - waiting} end,
             e.type, ('{"job_id":"' || job || '","execution_id":"' || execution || '"}')::json, job,
             case when e.k in (3, 4, 5, 7) then execution end, owner, visibility, at
      from bench.rows, lateral (values (1, 'job.accepted'), (2, 'job.started'), (3, 'execution.placed'), (4, 'execution.started'),
        (5, 'execution.' || state), (6, 'job.' || state), (7, 'transparency.entry_appended'),
        (8, 'transparency.entry_appended')) as e (k, type)
      where e.k <= case when ${isEnded} then 8 when state = 'running' then 4 else 1 end`,
    jobs: `
      insert into jobs (id, owner, form, message_sha256, request_sha256, nonce, raw, name, plan, visibility, state, total,
                        open, completed, seq, created_at, started_at, ended_at, summary_cid, manifest_cid)
      select job, owner, 'P1', bench.digest(job), bench.digest('request ' || job), 'nonce ' || n,
             convert_to(${raw}, 'UTF8'), 'identity of models', ${quoted(plan)}, visibility, state, 1,
             case when ${isEnded} then 0 else 1 end, case when state = 'completed' then 1 else 0 end,
             case when ${isEnded} then 6 when state = 'running' then 4 else 1 end, at,
             case when state <> 'accepted' then at end, case when ${isEnded} then at end,
             case when ${isEnded} then bench.cid(summary) end, case when ${isEnded} then bench.cid(manifest) end
      from bench.rows`,
    cids: `
      insert into cids (cid, digest, kind, visible_to, job_id, execution_id)
      select bench.cid(d.digest), d.digest, d.kind, case visibility when 'public' then 'all' else owner end, job,
             case when d.kind = 'receipt' then execution end
      from bench.rows, lateral (values (receipt, 'receipt'), (dsse, 'dsse'), (summary, 'summary'), (summary_dsse, 'dsse'),
        (manifest, 'manifest')) as d (digest, kind)
      where ${isEnded}
      union all
      select distinct on (output, visible_to) bench.cid(output), output, 'file', visible_to, job, execution
      from bench.rows, lateral (select case visibility when 'public' then 'all' else owner end as visible_to) v
      where ${hasRun}`,
    log_entries: `
      insert into log_entries (log_id, idx, subject_kind, subject_id, version, leaf, leaf_hash, key_id, cid, job_id, execution_id, appended_at)
      select ${log}, e.idx, e.kind, e.subject, 1, e.leaf, sha256('\\x00'::bytea || e.leaf), ${key}, e.cid, job, e.execution, at
      from bench.rows, lateral (values
        (2 * n - 1, 'receipt', execution::text, ${LEAF(`'r' || n`)}, bench.cid(receipt), execution),
        (2 * n, 'job', job, ${LEAF(`'j' || n`)}, bench.cid(summary), null)) as e (idx, kind, subject, leaf, cid, execution)
      where ${isEnded}`,
    blocks: `
      insert into blocks (digest, bytes)
      select d.digest, bench.document(d.name || ' ' || n)
      from bench.rows, lateral (values (receipt, 'receipt'), (dsse, 'dsse'), (summary, 'summary'),
        (summary_dsse, 'summary dsse'), (manifest, 'manifest')) as d (digest, name)
      where ${isEnded}`,
    executions: `
      insert into executions (id, origin_id, job_id, idx, region, question, question_text, state, fence, attempt, backend,
                              provider, region_ran, receipt_cid, output_sha256, created_at, started_at, ended_at, duration_ms,
                              visibility, owner)
      select execution, job, job, 0, 'US', 0, 'Who are you?', case when state = 'accepted' then 'pending' else state end,
             1, 1, 'local', 'bench', 'US', case when ${isEnded} then bench.cid(receipt) end,
             case when ${hasRun} then output end, at, at, case when ${isEnded} then at end, 12,
             visibility, case when visibility = 'private' then owner end
      from bench.rows`,
    attempts: `
      insert into attempts (execution_id, attempt, state, backend, region, fence, budget_ms, outcome, created_at, ended_at, duration_ms)
      select execution, 1, case state when 'completed' then 'succeeded' when 'failed' then 'failed' else 'active' end,
             'local', 'US', 1, 60000, '{"exitCode":0}', at, at, 12
      from bench.rows where ${hasRun} or state = 'running'`,
    receipts: `
      insert into receipts (execution_id, cid, digest, dsse_digest, key_id, job_id, outcome)
      select execution, bench.cid(receipt), receipt, dsse, ${key}, job, state from bench.rows where ${isEnded}`,
    job_summaries: `
      insert into job_summaries (job_id, version, cid, digest, dsse_digest, key_id)
      select job, 1, bench.cid(summary), summary, summary_dsse, ${key} from bench.rows where ${isEnded}`,
    log_checkpoints: `
      insert into log_checkpoints (log_id, size, root, note, signed_at)
      select ${log}, 2 * n + 1, receipt, repeat('a checkpoint ', 15), at from bench.rows where n < ${ended}`,
    attempt_logs: `
      insert into attempt_logs (execution_id, attempt, seq, time_us, source, line)
      select execution, 1, seq, n, 'stdout', 'what a program says in a line'
      from bench.rows, generate_series(1, 2) as seq where ${hasRun}`,
    blobs: `
      insert into blobs (sha256, part, bytes)
      select distinct on (output) output, 0, bench.document('output ' || case when n % 3 = 0 then 0 else n end)
      from bench.rows where ${hasRun}`,
    files: `
      insert into files (execution_id, attempt, direction, name, size, mime, sha256, cid)
      select execution, 1, 'output', 'answer.txt', 256, 'text/plain', output, bench.cid(output)
      from bench.rows where n % 10 = 0 and ${hasRun}`,
    outbox: `
      insert into outbox (kind, job_id, owner, created_at, next_at)
      select 'start', job, owner, at, at from bench.rows where state = 'accepted'
      union all
      (select 'cancel', job, owner, at, at from bench.rows where state = 'running' order by n limit ${DUE})`,
  };
  const finish = `
    update events set position = ${events(shape) + 1} where position is null;
    update feed_head set position = ${events(shape) + 1};
    update streams set seq = ${2 * ended + 1};
    insert into private_executions (owner, shard, value)
      select owner, 0, count(*) from bench.rows where visibility = 'private' group by owner;
    update counters c set value = s.value from (
      select 'executions_public' as name, count(*) as value from bench.rows where visibility = 'public'
      union all select 'executions_private', count(*) from bench.rows where visibility = 'private'
      union all select 'jobs_enqueued_total', count(*) from bench.rows
      union all select 'jobs_processed_total', count(*) from bench.rows where state = 'completed'
    ) as s where c.name = s.name and c.shard = 0;
    drop schema bench cascade`;
  return { prepare, tables: Object.entries(tables).map(([table, fill]) => ({ table, fill })), finish };
}
