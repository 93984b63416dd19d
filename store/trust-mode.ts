import type { Queryable } from './pool.ts';

/** Who may submit to the API, for workers: what they may run depends on it. */
export interface TrustMode {
  /** Any key may submit. */
  open: boolean;
  /** Nobody beyond this machine reaches the API. */
  loopback_only: boolean;
}

const KEY = 'trust_mode';

/** Written by the API before it listens. */
export async function writeTrustMode(db: Queryable, mode: TrustMode): Promise<void> {
  await db.query(
    `insert into settings (key, value) values ($1, $2)
     on conflict (key) do update set value = excluded.value, updated_at = now()`,
    [KEY, JSON.stringify(mode)],
  );
}

/** Undefined before an API first started. */
export async function readTrustMode(db: Queryable): Promise<TrustMode | undefined> {
  const { rows } = await db.query<{ value: TrustMode }>('select value from settings where key = $1', [KEY]);
  return rows[0]?.value;
}
