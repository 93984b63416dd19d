/**
 * Which waiting jobs are started next. Keys are looked at in rotation, a bounded number in each claim, so that a claim
 * costs the same however many keys wait; among those looked at, the key with the fewest jobs open comes first. With no
 * more keys than that waiting, all are looked at every time. A key with nothing open does not wait for a place that
 * others have filled: a few such jobs are started beyond the window.
 */
import type { Transaction } from './pool.ts';

/** Keys that a claim looks at: this many, or twice what it may take. */
const KEYS_AT_LEAST = 32;
const KEYS_FOR_EACH = 2;
/** Places beyond the window for keys with nothing open: a tenth of it, so that workers still cache every workflow. */
const WINDOW_TO_RESERVE = 10;

/** A start row that Temporal was never told of. Indexed by key: `outbox_waiting`. */
const WAITING = `kind = 'start' and sent_at is null and quarantined_at is null`;

/** Rows that hold a place in the window although their job does not run yet. Indexed: `outbox_held`. */
const HELD = `kind = 'start' and quarantined_at is null and (sent_at is not null or leased_until is not null)
  and (sent_at is not null or leased_until > now())`;

/** One relay at a time decides on admission: takes the lock until the transaction ends. Answers where the rotation stands. */
export async function lockAdmission(tx: Transaction): Promise<string> {
  const { rows } = await tx.query<{ after: string }>('select after from admission for update');
  return rows[0]!.after;
}

/** How many of a window of `window` jobs are free; negative when some were started beyond it. */
export async function countRoom(tx: Transaction, window: number): Promise<number> {
  const { rows } = await tx.query<{ room: number }>(
    `select $1 - (select count(*) from jobs where state = 'running')::int
               - (select count(*) from outbox where ${HELD})::int as room`,
    [window],
  );
  return rows[0]?.room ?? 0;
}

export interface Admission {
  /** Where the rotation of keys stands. */
  after: string;
  /** Jobs that may be open, and how many more of them may be now. */
  window: number;
  room: number;
  /** Rows taken at most. */
  batch: number;
  leaseMs: number;
}

/** Leases waiting starts. Answers their ids, those that should be started first in front. */
export async function admitWaiting(
  tx: Transaction,
  { after, window, room, batch, leaseMs }: Admission,
): Promise<number[]> {
  const take = Math.max(0, Math.min(batch, room));
  const newcomers = Math.min(batch, room + Math.ceil(window / WINDOW_TO_RESERVE));
  if (newcomers <= 0) return [];
  const { rows } = await tx.query<{ id: number }>(
    `with recursive behind (owner, n) as (
       -- A loose index scan: the keys that wait, from where the last look ended.
       (select owner, 1 from outbox where ${WAITING} and owner > $3 order by owner limit 1)
       union all
       select (select o.owner from outbox o where ${WAITING} and o.owner > k.owner order by o.owner limit 1), n + 1
       from behind k where k.owner is not null and n < $4
     ), before (owner, n) as (
       -- Then from the first one on.
       (select owner, (select count(owner) from behind) + 1 from outbox
        where ${WAITING} and owner <= $3 and (select count(owner) from behind) < $4 order by owner limit 1)
       union all
       select (select o.owner from outbox o where ${WAITING} and o.owner > k.owner and o.owner <= $3 order by o.owner limit 1),
              n + 1
       from before k where k.owner is not null and n < $4
     ), keys as (
       select owner, n from behind where owner is not null union all select owner, n from before where owner is not null
     ), moved as (
       update admission set after = (select owner from keys where n = $4) where exists (select from keys where n = $4)
     ), load as (
       select owner, count(*) as open from (
         select owner from jobs where state = 'running' union all select owner from outbox where ${HELD}
       ) held group by owner
     ), candidates as (
       select * from (
         select c.id, c.turn, row_number() over (order by c.turn, c.id) as place
         from keys left join load on load.owner = keys.owner cross join lateral (
           select o.id, coalesce(load.open, 0) + row_number() over (order by o.id) as turn from outbox o
           where o.owner = keys.owner and ${WAITING} and o.next_at <= now()
             and (o.leased_until is null or o.leased_until < now()) and ($1 > 0 or load.open is null)
           order by o.id limit greatest($1, 1)
         ) c
       ) ranked where place <= $1 or turn = 1 and place <= $5
     ), leased as (
       update outbox o set leased_until = now() + $2 * interval '1 millisecond' from candidates c where o.id = c.id
     )
     select id from candidates order by place`,
    [take, leaseMs, after, Math.max(KEYS_AT_LEAST, KEYS_FOR_EACH * take), newcomers],
  );
  return rows.map((row) => row.id);
}
