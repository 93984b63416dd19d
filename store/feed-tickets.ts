import type { Queryable } from './pool.ts';

/** Keeps the hash of a ticket, and lets go of those that nobody used in time. */
export async function keepTicket(
  db: Queryable,
  { sha256, owner, seconds }: { sha256: Uint8Array; owner: string; seconds: number },
): Promise<Date> {
  const { rows } = await db.query<{ expires_at: Date }>(
    `with old as (delete from feed_tickets where expires_at < now())
     insert into feed_tickets (ticket_sha256, owner, expires_at) values ($1, $2, now() + make_interval(secs => $3))
     returning expires_at`,
    [sha256, owner, seconds],
  );
  return rows[0]!.expires_at;
}

/** Whose ticket it is; it is gone hereby. Undefined for one that is unknown, used or too old. */
export async function redeemTicket(db: Queryable, sha256: Uint8Array): Promise<string | undefined> {
  const { rows } = await db.query<{ owner: string; fresh: boolean }>(
    'delete from feed_tickets where ticket_sha256 = $1 returning owner, expires_at > now() as fresh',
    [sha256],
  );
  return rows[0]?.fresh === true ? rows[0].owner : undefined;
}
