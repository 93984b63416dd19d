-- Up Migration
-- Everything lives in the schema `beacon`, owned by the migrating role. The services run as `beacon_app`, which reads
-- and writes rows but owns nothing; what is insert-only is insert-only by its grants (end of file).

create table settings (
  key text primary key,
  value json not null,
  updated_at timestamptz not null default now()
);

-- One signed JobSpec as it was received, and its state. The row is also the head of the stream `job:<id>` (seq).
create table jobs (
  -- The length apart: a bounded repetition makes the expression ten times as dear, for every row.
  id text collate "C" primary key check (id ~ '^[A-Za-z0-9][A-Za-z0-9._-]*$' and octet_length(id) <= 128),
  owner text collate "C" not null check (length(owner) <= 64),
  form text not null,
  message_sha256 bytea not null check (length(message_sha256) = 32),
  request_sha256 bytea not null check (length(request_sha256) = 32),
  nonce text collate "C" check (octet_length(nonce) <= 256),
  idempotency_key text collate "C" check (octet_length(idempotency_key) <= 255),
  raw bytea not null,
  name text not null,
  plan json not null,
  visibility text not null default 'public' check (visibility in ('public', 'private')),
  state text not null default 'accepted' check (state in ('accepted', 'running', 'completed', 'failed', 'cancelled', 'expired')),
  version int not null default 1,
  total int not null check (total between 0 and 1000),
  open int not null check (open between 0 and total),
  completed int not null default 0 check (completed between 0 and total),
  seq bigint not null default 0,
  cancel_requested_at timestamptz,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  ended_at timestamptz,
  summary_cid text,
  manifest_cid text,
  -- Of everything that belongs to the job, as a UnixFS directory; made when it is first asked for.
  directory_cid text,
  -- W3C trace context of the request that submitted it; only where traces are written.
  traceparent text,
  constraint jobs_terminal_is_whole check (
    state in ('accepted', 'running') or (open = 0 and ended_at is not null and summary_cid is not null)
  )
);
create unique index jobs_message on jobs (owner, message_sha256);
create unique index jobs_nonce on jobs (owner, nonce) where nonce is not null;
create unique index jobs_idempotency on jobs (owner, idempotency_key) where idempotency_key is not null;
-- Every list of jobs is merged from short scans of these two, one for each state and visibility that it shows: a run of
-- jobs that it does not show is never walked through.
create index jobs_listed on jobs (state, visibility, created_at desc, id desc);
create index jobs_private on jobs (owner, state, created_at desc, id desc) where visibility = 'private';

-- One unit of work placed on one backend. `idx` is its position in the job's plan. No foreign key to jobs here and in
-- `outbox`: every row is made from its job's row in one statement, jobs are never deleted, and the check of the key would
-- cost a tenth of a submit.
create table executions (
  id uuid primary key,
  number bigint generated always as identity,
  origin_kind text not null default 'job',
  origin_id text collate "C" not null,
  job_id text collate "C",
  idx int,
  follows uuid references executions (id),
  region text,
  model text,
  question int,
  question_text text,
  visibility text not null default 'public' check (visibility in ('public', 'private')),
  -- Of private ones only; the owner of a public one stands in its job.
  owner text collate "C",
  state text not null default 'pending' check (
    state in ('pending', 'placing', 'running', 'parked', 'completed', 'failed', 'cancelled', 'expired')
  ),
  phase text,
  fence int not null default 0,
  attempt int not null default 0,
  backend text,
  provider text,
  region_ran text,
  region_claimed text,
  region_observed text,
  failure json,
  receipt_cid text,
  output_sha256 bytea,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  ended_at timestamptz,
  duration_ms bigint,
  constraint executions_terminal_has_receipt check (
    state in ('pending', 'placing', 'running', 'parked') or (receipt_cid is not null and ended_at is not null)
  )
);
create unique index executions_number on executions (number);
-- One without and one with each predecessor; not partial, since every look at a job's executions goes through it.
create unique index executions_job on executions (job_id, idx, follows) nulls not distinct;
create unique index executions_follows on executions (follows) where follows is not null;
create index executions_listed on executions (visibility, created_at desc, id desc);
create index executions_private on executions (owner, created_at desc, id desc) where visibility = 'private';

-- One try of an execution at one provider; kept, never overwritten. The row is committed before the first outside effect.
-- No foreign key: it is made from its execution's row in one statement.
create table attempts (
  execution_id uuid not null,
  attempt int not null check (attempt >= 1),
  number bigint generated always as identity,
  state text not null default 'intended' check (
    state in ('intended', 'active', 'uncertain', 'succeeded', 'failed', 'lost', 'cancelled')
  ),
  backend text not null,
  region text,
  fence int not null,
  budget_ms bigint not null,
  external_ids json not null default '{}',
  outcome json,
  failure json,
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  duration_ms bigint,
  primary key (execution_id, attempt)
);

-- Which digest each image of a job is: the first attempt that resolves a tag decides it for all, so that all regions run
-- the same. Insert-only.
create table job_images (
  job_id text collate "C" not null references jobs (id),
  image text collate "C" not null,
  digest text collate "C" not null check (digest ~ '^sha256:[0-9a-f]{64}$'),
  pinned_at timestamptz not null default now(),
  primary key (job_id, image)
);

-- Where the requests of a provider come from: nonces that it is told, each good once. `address` is what our echo endpoint saw.
create table region_probes (
  nonce_sha256 bytea primary key check (length(nonce_sha256) = 32),
  execution_id uuid not null,
  attempt int not null,
  expires_at timestamptz not null,
  address text check (octet_length(address) <= 64),
  seen_at timestamptz
);
create index region_probes_expired on region_probes (expires_at);

-- What an attempt at a paid place may cost, held of its job's budget before anything can cost, and what came of it. In GLM.
create table payments (
  execution_id uuid not null,
  attempt int not null,
  job_id text collate "C",
  platform text not null check (octet_length(platform) between 1 and 64),
  cap numeric(38, 18) not null check (cap >= 0),
  -- Null: not known yet, and until it is the whole cap stays held.
  accepted numeric(38, 18) check (accepted >= 0),
  -- After the receipt: a `payment.accepted` event told of it.
  accepted_at timestamptz,
  -- Paid on chain.
  settled_at timestamptz,
  -- When and why the sweeper last could not say what it cost.
  looked_at timestamptz,
  note text,
  created_at timestamptz not null default now(),
  primary key (execution_id, attempt)
);
create index payments_job on payments (job_id);
create index payments_unknown on payments (looked_at nulls first) where accepted is null;
create index payments_unpaid on payments (looked_at nulls first) where accepted > 0 and settled_at is null;

-- What looking for a provider came to: one row for each look at the market (attempt null) and each attempt's talks.
create table negotiations (
  execution_id uuid not null,
  number int not null,
  attempt int,
  backend text not null,
  region text,
  outcome text not null,
  record json not null check (octet_length(record::text) <= 16384),
  recorded_at timestamptz not null default now(),
  primary key (execution_id, number)
);
create index negotiations_recent on negotiations (recorded_at desc);

create table attempt_logs (
  execution_id uuid not null,
  attempt int not null,
  seq int not null,
  time_us bigint not null,
  source text not null check (source in ('stdout', 'stderr', 'system')),
  line text not null,
  primary key (execution_id, attempt, seq)
);

-- Staged and kept bytes by content, in parts of at most 1 MiB.
create table blobs (
  sha256 bytea not null check (length(sha256) = 32),
  part int not null check (part >= 0),
  bytes bytea not null check (length(bytes) <= 1048576),
  -- Of a blob of several parts: the part's own CID, a leaf of the file's UnixFS tree.
  leaf_cid text collate "C",
  -- When somebody last staged these bytes, to within an hour; what nobody references later is swept in this order.
  staged_at timestamptz not null default now(),
  primary key (sha256, part)
);
create index blobs_staged on blobs (staged_at, sha256) where part = 0;
create index blobs_leaf on blobs (leaf_cid) where leaf_cid is not null;
alter table blobs alter column bytes set storage external;

create table files (
  execution_id uuid not null,
  attempt int not null,
  direction text not null check (direction in ('input', 'output')),
  name text not null,
  size bigint not null,
  mime text not null,
  sha256 bytea not null check (length(sha256) = 32),
  cid text,
  primary key (execution_id, attempt, direction, name)
);
-- Larger than one block, so that its bytes are not found in `cids` by their hash.
create index files_large on files (sha256) where size > 1048576;

-- Content-addressed blocks by SHA-256, at most 1 MiB: a receipt, a DSSE envelope, a summary, a manifest, a node of a
-- job's directory.
create table blocks (
  digest bytea primary key check (length(digest) = 32),
  bytes bytea not null check (length(bytes) <= 1048576),
  created_at timestamptz not null default now()
);
alter table blocks alter column bytes set storage external;

create table receipt_keys (
  key_id text primary key,
  spki bytea not null,
  created_at timestamptz not null default now()
);

-- No foreign key to `blocks`: what is erased leaves its hash here and no bytes.
-- No foreign key to `receipt_keys`, and none from `log_pending` to `log_state`: every attest would lock the same two rows.
create table receipts (
  execution_id uuid primary key references executions (id),
  cid text collate "C" not null unique,
  digest bytea not null,
  dsse_digest bytea not null,
  key_id text not null,
  job_id text collate "C",
  outcome text not null check (outcome in ('completed', 'failed', 'cancelled', 'expired')),
  created_at timestamptz not null default now()
);
create index receipts_job on receipts (job_id);

create table job_summaries (
  job_id text collate "C" not null references jobs (id),
  version int not null,
  cid text collate "C" not null unique,
  digest bytea not null references blocks (digest),
  dsse_digest bytea not null references blocks (digest),
  key_id text not null,
  created_at timestamptz not null default now(),
  primary key (job_id, version)
);

-- Which CID is what: receipts and DSSE envelopes, summaries and manifests of jobs, files with the leaves of large ones,
-- directories of jobs with their nodes. The digest is that of the bytes; of a leaf, that of the file it belongs to.
create table cids (
  cid text collate "C" not null,
  digest bytea not null,
  kind text not null check (kind in ('receipt', 'dsse', 'summary', 'manifest', 'file', 'leaf', 'directory')),
  -- Who may see it: 'all', or the owner of a private job.
  visible_to text collate "C" not null default 'all',
  -- Where these bytes were first.
  job_id text collate "C",
  execution_id uuid
);
-- The same bytes are a row for everybody and one for each owner who has them in private: who may see one says nothing
-- of the other, and a million jobs with the same output are one row.
create unique index cids_once on cids (cid, visible_to);

-- What an operator erased, and the signed entry `erasure/<execution>/1` that says so; its envelope is a block. Written by the
-- owner of the schema alone, who may remove bytes (store/erase.ts).
create table erasures (
  execution_id uuid primary key,
  job_id text collate "C",
  receipt_cid text collate "C" not null,
  dsse_digest bytea not null references blocks (digest),
  key_id text not null,
  -- The raw spec of its job went with it.
  with_spec boolean not null,
  erased_at timestamptz not null
);
create index erasures_job on erasures (job_id);
-- CIDs that nothing is left of, for those who could see them.
create table erased_cids (
  cid text collate "C" not null,
  visible_to text collate "C" not null,
  execution_id uuid not null references erasures (execution_id),
  primary key (cid, visible_to)
);

-- Facts. Per stream `seq` has no gaps: it is taken under the lock of the stream's head (the job row, or `streams`).
-- `position` is the place in the global feed, given by the relay after commit or, to a job's first event, with the job.
create table streams (
  stream text collate "C" primary key,
  seq bigint not null default 0
);
create table events (
  stream text collate "C" not null,
  seq bigint not null,
  id bigint generated always as identity,
  position bigint,
  type text not null,
  payload json not null check (octet_length(payload::text) <= 16384),
  idempotency_key text,
  job_id text collate "C",
  execution_id uuid,
  owner text,
  visibility text not null default 'public',
  actor text,
  correlation_id text,
  recorded_at timestamptz not null default now(),
  primary key (stream, seq)
);
create unique index events_idempotency on events (stream, idempotency_key) where idempotency_key is not null;
create index events_unpositioned on events (id) where position is null and left(stream, 4) <> 'log:';
create index events_unpositioned_log on events (stream, seq) where position is null and left(stream, 4) = 'log:';
create unique index events_position on events (position) where position is not null;
create index events_job_position on events (job_id, position) where position is not null and job_id is not null;

create table feed_head (
  single boolean primary key default true check (single),
  epoch text not null,
  position bigint not null default 0,
  floor bigint not null default 0
);

-- Gives positions to the next 1,000 events without one, in the order of their ids; answers how many. That an entry stands in
-- the log is told when the entry is shown: not before its checkpoint was signed and, where the operator waits for them, its
-- witnesses cosigned it. The events of a log are one for each entry, so the entries that are shown are the first events.
-- Its plans are kept, so they must not depend on how large the tables were when they were made: by index, whatever it costs.
create function give_positions() returns int language plpgsql
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  given int;
begin
  -- Most looks find nothing: they take no lock.
  perform from events where position is null and left(stream, 4) <> 'log:' limit 1;
  if not found then
    perform from streams s left join log_state l on s.stream = 'log:' || l.log_id
      where s.stream >= 'log:' and s.stream < 'log;' and exists (
        select from events e where e.position is null and left(e.stream, 4) = 'log:'
          and e.stream = s.stream and e.seq <= coalesce(l.published, e.seq));
    if not found then return 0; end if;
  end if;
  perform from feed_head for update;
  -- Its snapshot is taken after the lock was given.
  with waiting as materialized (
    (select stream, seq, id from events where position is null and left(stream, 4) <> 'log:' order by id limit 1000)
    union all
    select e.stream, e.seq, e.id from streams s
      left join log_state l on s.stream = 'log:' || l.log_id
      cross join lateral (
        select stream, seq, id from events
        where position is null and left(stream, 4) = 'log:' and stream = s.stream and seq <= coalesce(l.published, seq)
        order by seq limit 1000) e
      where s.stream >= 'log:' and s.stream < 'log;'
  ), batch as materialized (
    select stream, seq, row_number() over (order by id) as place
    from (select stream, seq, id from waiting order by id limit 1000) as next
  ), head as (
    update feed_head set position = position + (select count(*) from batch)
    where exists (select from batch)
    returning position - (select count(*) from batch) as before
  )
  update events set position = head.before + batch.place
  from batch, head where events.stream = batch.stream and events.seq = batch.seq;
  get diagnostics given = row_count;
  return given;
end
$$;

-- What must still be told to Temporal. A start row goes with the first step of its job that commits.
create table outbox (
  id bigint generated always as identity primary key,
  kind text not null check (kind in ('start', 'cancel', 'repair')),
  job_id text collate "C" not null,
  owner text collate "C" not null,
  created_at timestamptz not null default now(),
  next_at timestamptz not null default now(),
  sent_at timestamptz,
  sends int not null default 0,
  failures int not null default 0,
  -- The job is to be cancelled: start it ahead of the admission window, so that it can end.
  urgent boolean not null default false,
  leased_until timestamptz,
  last_error text,
  quarantined_at timestamptz,
  unique (job_id, kind)
);
create index outbox_waiting on outbox (owner, id) where kind = 'start' and sent_at is null and quarantined_at is null;
create index outbox_urgent on outbox (id) where kind = 'start' and sent_at is null and urgent and quarantined_at is null;
create index outbox_held on outbox (owner) include (sent_at, leased_until)
  where kind = 'start' and quarantined_at is null and (sent_at is not null or leased_until is not null);
create index outbox_due on outbox (next_at, id) where kind <> 'start' or sent_at is not null or quarantined_at is not null;

-- Its row's lock lets one relay at a time admit jobs. `after` is the key at which the last look at waiting keys ended.
create table admission (
  single boolean primary key default true check (single),
  after text collate "C" not null default ''
);
insert into admission default values;

-- What the reconciler saw on its last look at a job whose workflow Temporal does not know.
create table workflow_absences (
  job_id text collate "C" primary key references jobs (id),
  first_seen_at timestamptz not null default now(),
  times int not null default 1
);

-- The transparency log. Entries, full tiles and checkpoints are insert-only; log_state is the compare-and-swap row.
create table log_state (
  log_id text primary key,
  origin text not null unique,
  size bigint not null default 0,
  root bytea not null,
  -- The first verifier key of the log and its id in entries, once a checkpoint is to be signed; never another one. Later
  -- ones stand in `key_entries`.
  vkey text,
  vkey_id text,
  -- How many entries may be shown: those that the rollback guard remembers, or all where there is no guard.
  published bigint not null default 0,
  -- What the process that last held the lead said of itself, and why it signs nothing.
  sequencer text check (sequencer in ('leading', 'refusing')),
  refusal_code text,
  refusal text,
  rollback_guard text check (rollback_guard in ('file', 'none')),
  sequencer_at timestamptz,
  -- The verifier key by which the operator's own cosigner says every minute that the newest checkpoint is the newest.
  cosigner_vkey text,
  -- A closed log is read, and never signed again; the one that follows it names its last known checkpoint in entry 0.
  closed_at timestamptz,
  -- Whose cosignatures the operator asks for (C2SP tlog-policy).
  policy text,
  -- Checkpoints up to this size were looked at when old ones were taken away.
  history_pruned bigint not null default 0,
  -- How often and when last a sequencer found that another one had moved the head.
  meetings int not null default 0,
  met_at timestamptz,
  updated_at timestamptz not null default now()
);
-- One log grows; all others were closed.
create unique index log_state_open on log_state ((true)) where closed_at is null;
create table log_pending (
  id bigint generated always as identity primary key,
  log_id text not null,
  subject_kind text not null check (subject_kind in ('receipt', 'job', 'report', 'key', 'erasure')),
  subject_id text collate "C" not null,
  version int not null,
  leaf bytea not null check (length(leaf) <= 65535),
  key_id text not null,
  cid text collate "C",
  job_id text collate "C",
  execution_id uuid,
  owner text,
  visibility text not null default 'public',
  -- Why it will never be an entry: its subject stands in the log with another leaf.
  refused text,
  created_at timestamptz not null default now(),
  -- What differs first stands first. And what is pending is then read by id alone: a way by `log_id` goes through every
  -- dead row since the last vacuum.
  unique (subject_id, version, subject_kind, log_id)
);
-- The entries `key/<key_id>/1` (a key starts) and `key/<key_id>/2` (it has ended), from when they became pending on.
create table key_entries (
  log_id text not null references log_state (log_id),
  key_id text not null,
  version int not null check (version in (1, 2)),
  purpose text not null check (purpose in ('receipt', 'log')),
  -- The key that signs the entry: the key itself, or another one that vouches for it.
  signer text not null,
  -- Verifier key of a log key.
  vkey text check ((vkey is null) = (purpose = 'receipt')),
  dsse_digest bytea not null references blocks (digest),
  created_at timestamptz not null default now(),
  primary key (log_id, key_id, version)
);
-- Nothing becomes pending under a key whose end entry was made: an end entry is really the last of its key, and an ended
-- execution always has an entry to come. Who makes an end entry takes the same lock alone (store/log-keys.ts).
create function refuse_ended_keys() returns trigger language plpgsql as $$
declare k record;
begin
  -- The rows are gone through once: they may be many, their keys are few.
  for k in select log_id, key_id, bool_or(subject_kind <> 'key') as signs from added group by 1, 2 order by 1, 2 loop
    if k.signs then
      perform pg_advisory_xact_lock_shared(hashtextextended('beacon key ' || k.log_id || ' ' || k.key_id, 0));
      perform from beacon.key_entries e where e.log_id = k.log_id and e.key_id = k.key_id and e.version = 2;
      if found then
        raise exception 'the key % has ended', k.key_id using errcode = 'BK001';
      end if;
    end if;
    perform from beacon.log_state s where s.log_id = k.log_id and s.closed_at is not null;
    if found then
      raise exception 'the log was closed' using errcode = 'BK002';
    end if;
  end loop;
  return null;
end $$;
create trigger log_pending_keys after insert on log_pending
  referencing new table as added for each statement execute function refuse_ended_keys();
create table log_entries (
  log_id text not null,
  idx bigint not null,
  subject_kind text not null,
  subject_id text collate "C" not null,
  version int not null,
  leaf bytea not null,
  leaf_hash bytea not null check (length(leaf_hash) = 32),
  key_id text not null,
  cid text collate "C",
  job_id text collate "C",
  execution_id uuid,
  appended_at timestamptz not null default now(),
  primary key (log_id, idx),
  unique (subject_id, version, subject_kind, log_id)
);
create index log_entries_keys on log_entries (log_id, subject_id, version) where subject_kind = 'key';
create index log_entries_cid on log_entries (cid) where cid is not null;
create index log_entries_execution on log_entries (execution_id) where execution_id is not null;
-- The next pending entries in the order of their ids, of keys that have started in the log. Which those are
-- is read from the log itself with every batch: what one process believes of keys decides nothing. The first log key has no
-- start entry. `repeated`: its subject stands in the log already, with this leaf or (false) another.
-- As with `give_positions`, its plans must not depend on how large the tables were: a walk along the key, which also passes
-- over the dead rows of what was taken, and no other way. `after`: an id before which none is looked for.
create function next_pending(the_log text, after bigint, most int)
  returns table (id bigint, subject_kind text, subject_id text, version int, leaf_hash bytea, key_id text, job_id text,
    repeated boolean, key_ended boolean)
  language plpgsql stable set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off
  set enable_mergejoin = off set enable_sort = off as $$
#variable_conflict use_column
begin
  return query
  with started as materialized (
    select subject_id as key_id, bool_or(version = 2) as ended from log_entries
    where log_id = the_log and subject_kind = 'key' group by subject_id
    union all
    select s.vkey_id, false from log_state s where s.log_id = the_log and s.vkey_id is not null and not exists (
      select from log_entries e where e.log_id = the_log and e.subject_kind = 'key' and e.subject_id = s.vkey_id)
  )
  select p.id, p.subject_kind, p.subject_id, p.version, sha256('\x00'::bytea || p.leaf), p.key_id, p.job_id,
         (select e.leaf = p.leaf from log_entries e
          where e.subject_id = p.subject_id and e.version = p.version and e.subject_kind = p.subject_kind
            -- So written, it is no way into the table: in an empty one the planner cannot tell it from the subject's.
            and (e.log_id = p.log_id) is true),
         k.ended
  from log_pending p join started k on k.key_id = p.key_id
  where p.log_id = the_log and p.id > after and p.refused is null
  order by p.id limit most;
end
$$;
-- Full tiles of height 8 only; partial tiles are derived by a range read. `root` is the tile's own subtree root.
create table log_tiles (
  log_id text not null,
  level int not null,
  idx bigint not null,
  root bytea not null check (length(root) = 32),
  hashes bytea not null check (length(hashes) = 8192),
  primary key (log_id, level, idx)
);
alter table log_tiles alter column hashes set storage external;
-- Appends a batch: entries, their events, tiles that became full and head; answers how many entries, or null when the head had
-- moved. `common`: the members that the payloads of all these events share, as JSON without its braces; the others are made here,
-- where the rows are. The event of entry i is the stream's event i + 1, which `give_positions` relies on. The
-- head moves first: who comes second waits for its row, and then does nothing. The commit is flushed whatever the session says.
-- The ids are ascending: the order of their places in the log. Its plans do not depend on sizes either: one walk along the
-- pending rows beside the batch. A plan that looks through the batch for each row costs its square.
create function append_batch(the_log text, old_size bigint, old_root bytea, new_size bigint, new_root bytea,
  ids bigint[], leaf_hashes bytea[], levels int[], tile_idxs bigint[], roots bytea[], tiles bytea[], common text)
  returns int
  language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_nestloop = off set enable_hashjoin = off as $$
declare
  appended int;
  last_seq bigint;
begin
  update log_state set size = new_size, root = new_root, updated_at = now()
  where log_id = the_log and size = old_size and root = old_root and closed_at is null;
  if not found then return null; end if;
  set local synchronous_commit = on;
  insert into streams (stream, seq) values ('log:' || the_log, new_size - old_size)
  on conflict (stream) do update set seq = streams.seq + excluded.seq returning seq into last_seq;
  with batch as materialized (
    select unnest(ids) as id, unnest(leaf_hashes) as leaf_hash, generate_series(old_size, new_size - 1) as idx
  ), taken as (
    delete from log_pending p using batch b
    where p.id = b.id and p.log_id = the_log and p.id between ids[1] and ids[cardinality(ids)]
    returning b.idx, p.subject_kind, p.subject_id, p.version, p.leaf, b.leaf_hash, p.key_id, p.cid, p.job_id, p.execution_id,
              p.owner, p.visibility
  ), entries as (
    insert into log_entries (log_id, idx, subject_kind, subject_id, version, leaf, leaf_hash, key_id, cid, job_id, execution_id)
    select the_log, idx, subject_kind, subject_id, version, leaf, leaf_hash, key_id, cid, job_id, execution_id from taken
  )
  insert into events (stream, seq, type, payload, job_id, execution_id, owner, visibility)
  select 'log:' || the_log, last_seq - (new_size - 1 - idx), 'transparency.entry_appended',
         ('{' || common || ',"log_index":' || idx || ',"subject_kind":"' || subject_kind || '"'
          || coalesce(',"execution_id":"' || execution_id || '"', '')
          || coalesce(',"job_id":' || to_json(job_id), '')
          || coalesce(case subject_kind when 'job' then ',"summary_cid":' else ',"ipfs_cid":' end || to_json(cid), '')
          || '}')::json,
         job_id, execution_id, owner, visibility
  from taken order by idx;
  get diagnostics appended = row_count;
  insert into log_tiles (log_id, level, idx, root, hashes)
  select the_log, unnest(levels), unnest(tile_idxs), unnest(roots), unnest(tiles);
  return appended;
end
$$;
create table log_checkpoints (
  log_id text not null,
  size bigint not null,
  root bytea not null,
  note text not null,
  signed_at timestamptz not null default now(),
  primary key (log_id, size)
);
-- What others, and the operator's own cosigner, say of checkpoints: that they saw them, and when.
create table log_cosignatures (
  log_id text not null,
  size bigint not null,
  cosigner text not null,
  key_id text not null check (key_id ~ '^[0-9a-f]{8}$'),
  line text not null check (length(line) <= 10000),
  signed_at timestamptz not null,
  received_at timestamptz not null default now(),
  primary key (log_id, size, cosigner, key_id, signed_at)
);
-- The history of checkpoints is bounded: after a day those stay that are cosigned, the last of each minute, the last of each
-- log key, and the newest. The service may delete none by itself; it may ask for this, which knows nothing else.
create function prune_checkpoints(the_log text) returns int language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  old timestamptz := date_trunc('minute', now() - interval '1 day');
  reached bigint := (select history_pruned from beacon.log_state where log_id = the_log);
  newest bigint := (select max(size) from beacon.log_checkpoints where log_id = the_log);
  upto bigint;
  gone int;
begin
  -- Of the same cosigner on the same checkpoint the newest line says all.
  delete from beacon.log_cosignatures c using beacon.log_cosignatures later
  where c.log_id = the_log and c.size >= reached and c.received_at < old
    and later.log_id = c.log_id and later.size = c.size and later.cosigner = c.cosigner and later.key_id = c.key_id
    and later.signed_at > c.signed_at;
  select max(size) into upto from (
    select size from beacon.log_checkpoints
    where log_id = the_log and size > reached and size < newest and signed_at < old order by size limit 5000) looked_at;
  if upto is null then
    return 0;
  end if;
  delete from beacon.log_checkpoints c
  where c.log_id = the_log and c.size > reached and c.size <= upto
    and not exists (select from beacon.log_cosignatures s where s.log_id = the_log and s.size = c.size)
    and exists (
      select from beacon.log_checkpoints n
      where n.log_id = the_log and n.size > c.size and date_trunc('minute', n.signed_at) = date_trunc('minute', c.signed_at))
    -- A key's end entry is the first that its checkpoints do not cover.
    and not exists (
      select from beacon.key_entries k
      join beacon.log_entries e on e.log_id = k.log_id and e.subject_kind = 'key' and e.subject_id = k.key_id and e.version = 2
      where k.log_id = the_log and k.purpose = 'log' and k.version = 2 and c.size <= e.idx
        and not exists (
          select from beacon.log_checkpoints n where n.log_id = the_log and n.size > c.size and n.size <= e.idx));
  get diagnostics gone = row_count;
  update beacon.log_state set history_pruned = upto where log_id = the_log;
  return gone;
end $$;
revoke execute on function prune_checkpoints from public;

-- What was told to places outside (Kubo, pinning services). A place walks through the feed for the ends of public jobs.
create table publish_targets (
  target text collate "C" primary key,
  kind text not null check (kind in ('kubo', 'pinning')),
  position bigint not null default 0,
  -- While the place as a whole does not answer: how often, and when it is tried again.
  failures int not null default 0,
  not_before timestamptz not null default now(),
  last_error text,
  -- When it was last configured; one that no process has any more is not counted.
  seen_at timestamptz not null default now()
);
create table publications (
  target text collate "C" not null references publish_targets (target),
  job_id text collate "C" not null,
  cid text collate "C",
  -- Stored, pinned and announced are facts of their own.
  stored_at timestamptz,
  pinned_at timestamptz,
  announced_at timestamptz,
  -- Another place of the same kind holds it.
  spare boolean not null default false,
  request_id text,
  -- Something of the job was erased: since when the place is to keep it no longer, and when it said so.
  withdrawn_at timestamptz,
  removed_at timestamptz,
  failures int not null default 0,
  note text,
  -- Null: nothing is left to be done.
  next_at timestamptz default now(),
  created_at timestamptz not null default now(),
  primary key (job_id, target)
);
create index publications_due on publications (target, next_at) where next_at is not null;
create index publications_unpinned on publications (target, created_at)
  where pinned_at is null and not spare and withdrawn_at is null;

-- Exact counters, spread over shards so that writers do not wait for each other; a reader sums them.
create table counters (
  name text not null,
  shard int not null,
  value bigint not null default 0,
  primary key (name, shard)
);
-- Executions of private jobs, counted as in `counters`, for the lists of their owners.
create table private_executions (
  owner text collate "C" not null,
  shard int not null,
  value bigint not null,
  primary key (owner, shard)
);
-- What each process last published of its own counters and histograms, as prom-client JSON.
create table metric_snapshots (
  process text primary key,
  role text not null,
  snapshot json not null,
  updated_at timestamptz not null default now()
);

-- How the circuit breakers of each process stand, and what an operator last ordered for those of a name.
create table circuit_breakers (
  name text collate "C" not null,
  process text not null,
  stats json not null,
  updated_at timestamptz not null default now(),
  primary key (name, process)
);
create table breaker_orders (
  name text collate "C" primary key,
  action text not null check (action in ('open', 'reset')),
  actor text not null,
  version int not null default 1,
  ordered_at timestamptz not null default now()
);

-- Lets the owner of private jobs into the feed, once and soon: browsers cannot sign an upgrade.
create table feed_tickets (
  ticket_sha256 bytea primary key,
  owner text collate "C" not null,
  expires_at timestamptz not null
);
create index feed_tickets_expired on feed_tickets (expires_at);

-- Requests signed by a job's key (cancel, retry, reads of private jobs): each nonce once.
create table request_nonces (
  owner text collate "C" not null,
  nonce text collate "C" not null check (octet_length(nonce) <= 256),
  used_at timestamptz not null default now(),
  primary key (owner, nonce)
);
create index request_nonces_used on request_nonces (used_at);

-- State machines (domain/states.ts holds the same tables; a test compares them).
create function allowed_moves(noun text) returns table (old text, new text) language sql immutable as $$
  select m.old, m.new from (values
    ('job', 'accepted', 'running'), ('job', 'accepted', 'completed'), ('job', 'accepted', 'failed'),
    ('job', 'accepted', 'cancelled'), ('job', 'accepted', 'expired'),
    ('job', 'running', 'completed'), ('job', 'running', 'failed'), ('job', 'running', 'cancelled'), ('job', 'running', 'expired'),
    ('job', 'completed', 'failed'), ('job', 'failed', 'completed'),
    ('execution', 'pending', 'placing'), ('execution', 'pending', 'running'), ('execution', 'pending', 'completed'),
    ('execution', 'pending', 'failed'), ('execution', 'pending', 'cancelled'), ('execution', 'pending', 'expired'),
    ('execution', 'placing', 'running'), ('execution', 'placing', 'parked'), ('execution', 'placing', 'completed'),
    ('execution', 'placing', 'failed'), ('execution', 'placing', 'cancelled'), ('execution', 'placing', 'expired'),
    ('execution', 'running', 'placing'), ('execution', 'running', 'parked'), ('execution', 'running', 'completed'),
    ('execution', 'running', 'failed'), ('execution', 'running', 'cancelled'), ('execution', 'running', 'expired'),
    ('execution', 'parked', 'placing'), ('execution', 'parked', 'running'), ('execution', 'parked', 'completed'),
    ('execution', 'parked', 'failed'), ('execution', 'parked', 'cancelled'), ('execution', 'parked', 'expired'),
    ('attempt', 'intended', 'active'), ('attempt', 'intended', 'uncertain'), ('attempt', 'intended', 'succeeded'),
    ('attempt', 'intended', 'failed'), ('attempt', 'intended', 'lost'), ('attempt', 'intended', 'cancelled'),
    ('attempt', 'active', 'uncertain'), ('attempt', 'active', 'succeeded'), ('attempt', 'active', 'failed'),
    ('attempt', 'active', 'lost'), ('attempt', 'active', 'cancelled'),
    ('attempt', 'uncertain', 'active'), ('attempt', 'uncertain', 'succeeded'), ('attempt', 'uncertain', 'failed'),
    ('attempt', 'uncertain', 'lost'), ('attempt', 'uncertain', 'cancelled')
  ) as m (noun, old, new) where m.noun = $1
$$;
create function check_move() returns trigger language plpgsql as $$
begin
  if not exists (select from beacon.allowed_moves(tg_argv[0]) m where m.old = old.state and m.new = new.state) then
    raise exception '% cannot move from % to %', tg_argv[0], old.state, new.state using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger jobs_move before update of state on jobs
  for each row when (old.state is distinct from new.state) execute function check_move('job');
create trigger executions_move before update of state on executions
  for each row when (old.state is distinct from new.state) execute function check_move('execution');
create trigger attempts_move before update of state on attempts
  for each row when (old.state is distinct from new.state) execute function check_move('attempt');
create function refuse_change() returns trigger language plpgsql as $$
declare
  erasable text[] := array['output_sha256', 'failure', 'question_text'];
begin
  -- What was erased loses what its program said, and nothing else.
  if to_jsonb(new) - erasable = to_jsonb(old) - erasable
     and exists (select from beacon.erasures g where g.execution_id = old.id) then
    return new;
  end if;
  raise exception '% % is terminal and cannot change', tg_argv[0], old.id using errcode = 'check_violation';
end $$;
create trigger executions_terminal before update on executions
  for each row when (old.state in ('completed', 'failed', 'cancelled', 'expired')) execute function refuse_change('execution');

insert into feed_head (epoch) values (substr(md5(random()::text || clock_timestamp()::text), 1, 12));
insert into counters (name, shard)
  select name, shard from unnest(array['jobs_enqueued_total', 'jobs_processed_total', 'jobs_failed_total', 'jobs_cancelled_total',
                                       'executions_public', 'executions_private']) name,
  generate_series(0, 15) shard;

do $$ begin
  if not exists (select from pg_roles where rolname = 'beacon_app') then
    create role beacon_app nologin;
  end if;
  if not pg_has_role(current_user, 'beacon_app', 'set') then
    execute format('grant beacon_app to %I', current_user);
  end if;
end $$;
grant usage on schema beacon to beacon_app;
grant select, insert, update, delete on all tables in schema beacon to beacon_app;
grant usage on all sequences in schema beacon to beacon_app;
grant execute on function prune_checkpoints to beacon_app;
revoke insert, update, delete on erasures, erased_cids from beacon_app;
revoke update, delete on blocks, receipt_keys, receipts, job_summaries, cids, key_entries, log_entries, log_tiles, log_checkpoints, log_cosignatures, attempt_logs, files, job_images from beacon_app;
revoke update, delete on events from beacon_app;
grant update (position) on events to beacon_app;
revoke delete on payments, jobs, executions, attempts, log_state, feed_head, streams, admission from beacon_app;
