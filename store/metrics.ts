import { FRESHNESS_AGE } from './log-cosignatures.ts';
import type { Pool, Queryable } from './pool.ts';
import { withTransaction } from './pool.ts';

/** The row that holds what processes counted that are gone. */
const RETIRED = 'retired';
/** Role of a row whose snapshot stands in `retired`: kept for a while as the baseline of a process that comes back. */
const FOLDED = 'folded';
const FOLDED_KEPT = '7 days';

export interface Snapshot {
  process: string;
  /** prom-client JSON. */
  snapshot: unknown;
}

/**
 * Stores what `process` counted so far. False: the process was silent for so long that its last snapshot was folded
 * into the retired one, and nothing was stored; it has to count on from `readBaseline` under another name.
 */
export async function publishSnapshot(
  db: Queryable,
  { process, role, snapshot }: { process: string; role: string; snapshot: string },
): Promise<boolean> {
  const { rowCount } = await db.query(
    `insert into metric_snapshots as mine (process, role, snapshot, updated_at) values ($1, $2, $3, now())
     on conflict (process) do update set snapshot = excluded.snapshot, updated_at = now() where mine.role <> $4`,
    [process, role, snapshot, FOLDED],
  );
  return rowCount === 1;
}

/** What of `process` stands in the retired snapshot; undefined when it was not folded. */
export async function readBaseline(db: Queryable, process: string): Promise<unknown> {
  const { rows } = await db.query<{ snapshot: unknown }>(
    'select snapshot from metric_snapshots where process = $1 and role = $2',
    [process, FOLDED],
  );
  return rows[0]?.snapshot;
}

/** The snapshots of all other processes and the retired one, and whether `process` itself was folded into it. */
export async function readSnapshots(
  db: Queryable,
  process: string,
): Promise<{ others: unknown[]; folded: boolean }> {
  const { rows } = await db.query<Snapshot & { role: string }>(
    'select process, role, snapshot from metric_snapshots where role <> $1 or process = $2',
    [FOLDED, process],
  );
  return {
    others: rows.filter((row) => row.process !== process).map(({ snapshot }) => snapshot),
    folded: rows.some((row) => row.process === process && row.role === FOLDED),
  };
}

/**
 * Adds the snapshots of processes that published nothing for `silentMs` to the retired one, in one transaction, so that
 * at every moment each count stands in exactly one row. `merge` sums snapshots. Returns the processes that it folded.
 */
export async function foldSilent(
  pool: Pool,
  silentMs: number,
  merge: (snapshots: readonly unknown[]) => Promise<unknown>,
): Promise<string[]> {
  const silent = `role not in ('${RETIRED}', '${FOLDED}') and updated_at < now() - $1 * interval '1 millisecond'`;
  const { rowCount } = await pool.query(`select from metric_snapshots where ${silent} limit 1`, [silentMs]);
  if (rowCount === 0) return [];
  return withTransaction(pool, async (tx) => {
    // The retired row's lock lets one fold at a time.
    const { rows: retired } = await tx.query<{ snapshot: unknown }>(
      `insert into metric_snapshots (process, role, snapshot) values ($1, $1, '[]')
       on conflict (process) do update set role = excluded.role returning snapshot`,
      [RETIRED],
    );
    const { rows } = await tx.query<Snapshot>(
      `update metric_snapshots set role = '${FOLDED}', updated_at = now() where ${silent} returning process, snapshot`,
      [silentMs],
    );
    if (rows.length > 0) {
      const merged = await merge([retired[0]!.snapshot, ...rows.map(({ snapshot }) => snapshot)]);
      await tx.query('update metric_snapshots set snapshot = $2, updated_at = now() where process = $1', [
        RETIRED,
        JSON.stringify(merged),
      ]);
    }
    await tx.query(
      `delete from metric_snapshots where role = '${FOLDED}' and updated_at < now() - interval '${FOLDED_KEPT}'`,
    );
    return rows.map(({ process }) => process);
  });
}

/** What only the database knows, at this moment. */
export interface Gauges {
  /** `jobs_*_total`, counted in the transactions that make them true. */
  counters: Record<string, number>;
  /** Jobs not yet started: never sent to Temporal, or sent twice or more without a first step. */
  outboxUnpublished: number;
  outboxOldestAgeSeconds: number;
  logPending: number;
  logPendingOldestAgeSeconds: number;
  /** Null before the log exists. */
  logSize: number | null;
  logPublishedSize: number | null;
  /** Since the operator's own cosigner last said that the newest checkpoint is the newest; null before it did. */
  logFreshnessAgeSeconds: number | null;
  feedUnpositioned: number;
  feedOldestAgeSeconds: number;
  storageBytes: number;
}

/** Bytes that blocks and blobs take on disk, dead rows among them: to sum them up would read all of them. */
const STORAGE_BYTES = `(select sum(pg_total_relation_size(t::regclass))::bigint from unnest(array['blocks', 'blobs']) t)`;

export async function readGauges(db: Queryable): Promise<Gauges> {
  const { rows } = await db.query<Gauges>(
    `select
       (select coalesce(json_object_agg(name, value), '{}')
          from (select name, sum(value) as value from counters group by name) as summed) as counters,
       outbox.waiting as "outboxUnpublished", outbox.age as "outboxOldestAgeSeconds",
       pending.waiting as "logPending", pending.age as "logPendingOldestAgeSeconds",
       feed.waiting as "feedUnpositioned", feed.age as "feedOldestAgeSeconds",
       (select size from log_state where closed_at is null) as "logSize",
       (select published from log_state where closed_at is null) as "logPublishedSize",
       (select ${FRESHNESS_AGE} from log_state s where closed_at is null) as "logFreshnessAgeSeconds",
       ${STORAGE_BYTES} as "storageBytes"
     from (
       select count(*) as waiting, coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as age
       from outbox where kind = 'start' and sends <> 1
     ) as outbox, (
       select count(*) as waiting, coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as age
       from log_pending where refused is null
     ) as pending, (
       select count(*) as waiting, coalesce(extract(epoch from now() - min(recorded_at)), 0)::float8 as age
       from (
         select recorded_at from events where position is null and left(stream, 4) <> 'log:'
         union all
         -- Those of entries that are not shown yet wait for their checkpoint, not for a position.
         select e.recorded_at from streams s left join log_state l on s.stream = 'log:' || l.log_id
           join events e on e.position is null and left(e.stream, 4) = 'log:' and e.stream = s.stream
             and e.seq <= coalesce(l.published, e.seq)
         where s.stream >= 'log:' and s.stream < 'log;'
       ) as unpositioned
     ) as feed`,
  );
  return rows[0]!;
}
