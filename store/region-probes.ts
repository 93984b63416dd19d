import type { Queryable } from './pool.ts';

/** Keeps the hash of a nonce, and lets go of those that are long past. */
export async function expectProbe(
  db: Queryable,
  probe: { sha256: Uint8Array; executionId: string; attempt: number; validMs: number },
): Promise<void> {
  await db.query(
    `with old as (delete from region_probes where expires_at < now() - interval '1 day')
     insert into region_probes (nonce_sha256, execution_id, attempt, expires_at)
     values ($1, $2, $3, now() + $4 * interval '1 millisecond')`,
    [probe.sha256, probe.executionId, probe.attempt, probe.validMs],
  );
}

/** Writes down where the request with this nonce came from; false when it is unknown, used or too old. */
export async function recordProbe(db: Queryable, sha256: Uint8Array, address: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `update region_probes set address = $2, seen_at = now()
     where nonce_sha256 = $1 and address is null and expires_at > now()`,
    [sha256, address],
  );
  return rowCount === 1;
}

export async function findProbe(
  db: Queryable,
  sha256: Uint8Array,
): Promise<{ address: string; seenAt: Date } | undefined> {
  const { rows } = await db.query<{ address: string; seenAt: Date }>(
    'select address, seen_at as "seenAt" from region_probes where nonce_sha256 = $1 and address is not null',
    [sha256],
  );
  return rows[0];
}
