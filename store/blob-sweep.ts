/**
 * Which bytes nobody references, and their removal. Bytes are staged while an attempt runs and referenced when its
 * outcome is staged; an attempt that is lost, cancelled or fenced off between the two leaves them behind.
 *   staged      `staged_at` is at most an hour before the moment at which somebody put them (blobs.ts)
 *   referenced  by a row of `cids` (every output and file that was attested and fits one block), or by a larger file
 *   swept       neither, and staged long before everything that is under way: before the oldest running job began, and
 *               a grace before that. So whatever is still to be referenced is younger than what is looked at.
 * The walk goes once over all blobs in the order of their marks and waits where the grace ends. Its place is a row of
 * `settings`, whose lock lets one relay at a time walk.
 */
import { cidOfDigest } from '../domain/receipt/cid.ts';
import { withTransaction, type Pool, type Transaction } from './pool.ts';

export interface SweepOptions {
  /** How long after their last staging, and before the oldest running job, bytes are left alone; hours, not minutes. */
  graceMs: number;
  /** Blobs looked at in one transaction. */
  looks: number;
  /** Blobs removed in one transaction: each may have 64 parts of 1 MiB. */
  removals: number;
}

export interface Swept {
  looked: number;
  removed: number;
  /** There may be more to look at now. */
  more: boolean;
}

interface Candidate {
  sha256: Buffer;
  /** PostgreSQL's own text of the time: a Date would lose its microseconds. */
  at: string;
}

const PLACE = 'blob_sweep';

/** Older than everything that may still be referenced; $1 is the grace. In every statement, so that each looks by itself. */
const LONG_AGO = `(select least(now(), min(j.started_at)) from jobs j where j.state = 'running') - $1 * interval '1 millisecond'`;

const UNREFERENCED = `not exists (select from cids c where c.cid = b.cid)
  and not exists (select from files f where f.sha256 = b.sha256 and f.size > 1048576)`;

/** One bounded step of the walk; undefined while another relay walks. */
export async function sweepBlobs(pool: Pool, options: SweepOptions): Promise<Swept | undefined> {
  await pool.query(
    `insert into settings (key, value) values ($1, '{"at":"-infinity","sha256":""}') on conflict do nothing`,
    [PLACE],
  );
  return withTransaction(pool, async (tx) => {
    const place = await tx.query<{ at: string; sha256: string }>(
      `select value ->> 'at' as at, value ->> 'sha256' as sha256 from settings where key = $1 for update skip locked`,
      [PLACE],
    );
    const from = place.rows[0];
    if (from === undefined) return undefined;
    const { rows: candidates } = await tx.query<Candidate>(
      `select b.sha256, b.staged_at::text as at from blobs b
       where b.part = 0 and (b.staged_at, b.sha256) > ($2::timestamptz, decode($3, 'hex')) and b.staged_at < ${LONG_AGO}
       order by b.staged_at, b.sha256 limit $4`,
      [options.graceMs, from.at, from.sha256, options.looks],
    );
    const garbage = await unreferenced(tx, candidates);
    const chosen = garbage.slice(0, options.removals);
    // What is left for the next step must still lie ahead.
    const last = garbage.length > chosen.length ? chosen.at(-1) : candidates.at(-1);
    if (last === undefined) return { looked: 0, removed: 0, more: false };
    const removed = chosen.length === 0 ? 0 : await remove(tx, chosen, options.graceMs);
    await tx.query(`update settings set value = $2, updated_at = now() where key = $1`, [
      PLACE,
      JSON.stringify({ at: last.at, sha256: last.sha256.toString('hex') }),
    ]);
    const looked = candidates.indexOf(last) + 1;
    return { looked, removed, more: looked < candidates.length || candidates.length === options.looks };
  });
}

async function unreferenced(tx: Transaction, candidates: readonly Candidate[]): Promise<Candidate[]> {
  if (candidates.length === 0) return [];
  const { rows } = await tx.query<{ sha256: Buffer }>(
    `select b.sha256 from unnest($1::bytea[], $2::text[]) as b (sha256, cid) where ${UNREFERENCED}`,
    columns(candidates),
  );
  const found = new Set(rows.map((row) => row.sha256.toString('hex')));
  return candidates.filter(({ sha256 }) => found.has(sha256.toString('hex')));
}

/** Looks again under the rows' locks, since somebody may have staged the same bytes a moment ago. */
async function remove(tx: Transaction, garbage: readonly Candidate[], graceMs: number): Promise<number> {
  const { rows: locked } = await tx.query<{ sha256: Buffer }>(
    `select b.sha256 from blobs b where b.sha256 = any($2) and b.part = 0 and b.staged_at < ${LONG_AGO}
     order by b.sha256 for update`,
    [graceMs, garbage.map(({ sha256 }) => sha256)],
  );
  const { rowCount } = await tx.query(
    `with sure as (
       select b.sha256 from unnest($1::bytea[], $2::text[]) as b (sha256, cid) where ${UNREFERENCED}
     ), gone as (
       delete from blobs using sure where blobs.sha256 = sure.sha256 returning blobs.sha256
     )
     select distinct sha256 from gone`,
    columns(locked),
  );
  return rowCount ?? 0;
}

function columns(blobs: readonly { sha256: Buffer }[]): [Buffer[], string[]] {
  return [blobs.map(({ sha256 }) => sha256), blobs.map(({ sha256 }) => cidOfDigest(sha256))];
}
