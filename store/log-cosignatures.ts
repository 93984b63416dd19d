import { PUBLISHED } from './log-state.ts';
import type { Queryable } from './pool.ts';

/** Somebody's line below a checkpoint: that he saw it, and when. */
export interface StoredCosignature {
  /** The cosigner's key name and the hex of its id. */
  cosigner: string;
  keyId: string;
  /** The signature line with its newline. */
  line: string;
  /** What the line says, in whole seconds. */
  signedAt: Date;
}

/** Keeps cosignatures of the checkpoint of `size`; the same line again changes nothing. */
export async function addCosignatures(
  db: Queryable,
  logId: string,
  size: number,
  lines: readonly StoredCosignature[],
): Promise<void> {
  await db.query(
    `insert into log_cosignatures (log_id, size, cosigner, key_id, line, signed_at)
     select $1, $2, * from unnest($3::text[], $4::text[], $5::text[], $6::timestamptz[]) on conflict do nothing`,
    [
      logId,
      size,
      lines.map(({ cosigner }) => cosigner),
      lines.map(({ keyId }) => keyId),
      lines.map(({ line }) => line),
      lines.map(({ signedAt }) => signedAt),
    ],
  );
}

/** The newest line of each cosigner below the checkpoint of `size`, as far as that is shown. */
export async function readCosignatures(
  db: Queryable,
  logId: string,
  size: number,
): Promise<StoredCosignature[]> {
  const { rows } = await db.query<StoredCosignature>(
    `select distinct on (cosigner, key_id) cosigner, key_id as "keyId", line, signed_at as "signedAt"
     from log_cosignatures where log_id = $1 and size = $2 and size <= ${PUBLISHED}
     order by cosigner, key_id, signed_at desc`,
    [logId, size],
  );
  return rows;
}

/** The same for several checkpoints, by their sizes. */
export async function listCosignatures(
  db: Queryable,
  logId: string,
  sizes: readonly number[],
): Promise<Map<number, StoredCosignature[]>> {
  const { rows } = await db.query<StoredCosignature & { size: number }>(
    `select distinct on (size, cosigner, key_id) size, cosigner, key_id as "keyId", line, signed_at as "signedAt"
     from log_cosignatures where log_id = $1 and size = any($2::bigint[]) and size <= ${PUBLISHED}
     order by size, cosigner, key_id, signed_at desc`,
    [logId, sizes],
  );
  const bySize = new Map<number, StoredCosignature[]>();
  for (const { size, ...line } of rows) bySize.set(size, [...(bySize.get(size) ?? []), line]);
  return bySize;
}

/** Makes known by which key the operator's own cosigner says that the log is alive. */
export async function setOwnCosigner(db: Queryable, logId: string, vkey: string): Promise<void> {
  await db.query(
    'update log_state set cosigner_vkey = $2 where log_id = $1 and cosigner_vkey is distinct from $2',
    [logId, vkey],
  );
}

export interface Freshness {
  /** The verifier key of the operator's own cosigner; null where there is none. */
  vkey: string | null;
  /** Seconds since it last cosigned; null when it never did. */
  ageSeconds: number | null;
}

/** SQL: seconds since the own cosigner of the log `s` last said that its newest checkpoint is the newest. */
export const FRESHNESS_AGE = `(
  select extract(epoch from now() - c.signed_at)::float8 from log_cosignatures c
  where c.log_id = s.log_id and c.cosigner = split_part(s.cosigner_vkey, '+', 1)
    and c.key_id = split_part(s.cosigner_vkey, '+', 2)
  order by c.size desc, c.signed_at desc limit 1)`;

export async function readFreshness(db: Queryable): Promise<Freshness | undefined> {
  const { rows } = await db.query<Freshness>(
    `select cosigner_vkey as vkey, ${FRESHNESS_AGE} as "ageSeconds" from log_state s where closed_at is null`,
  );
  return rows[0];
}

/**
 * Takes away checkpoints that nobody needs any more, at most some thousand at a time: what `prune_checkpoints` in the
 * migrations allows, since the service itself may delete none. How many went.
 */
export async function pruneCheckpoints(db: Queryable, logId: string): Promise<number> {
  const { rows } = await db.query<{ gone: number }>('select prune_checkpoints($1) as gone', [logId]);
  return rows[0]!.gone;
}

/** Who cosigned the checkpoint of `size`, shown or not. */
export async function readCosigners(
  db: Queryable,
  logId: string,
  size: number,
): Promise<Pick<StoredCosignature, 'cosigner' | 'keyId'>[]> {
  const { rows } = await db.query<Pick<StoredCosignature, 'cosigner' | 'keyId'>>(
    'select distinct cosigner, key_id as "keyId" from log_cosignatures where log_id = $1 and size = $2',
    [logId, size],
  );
  return rows;
}

/** The size that somebody cosigned last; 0 when he never did. */
export async function readCosignedSize(
  db: Queryable,
  logId: string,
  { cosigner, keyId }: Pick<StoredCosignature, 'cosigner' | 'keyId'>,
): Promise<number> {
  const { rows } = await db.query<{ size: number }>(
    `select size from log_cosignatures where log_id = $1 and cosigner = $2 and key_id = $3
     order by size desc limit 1`,
    [logId, cosigner, keyId],
  );
  return rows[0]?.size ?? 0;
}

/** Lets the signed checkpoint of `size`, and what is under it, be shown. */
export async function showUpTo(db: Queryable, logId: string, size: number): Promise<void> {
  await db.query(
    `update log_state set published = greatest(published, $2) where log_id = $1 and size >= $2
     and exists (select from log_checkpoints where log_id = $1 and size = $2)`,
    [logId, size],
  );
}

/** Publishes whose cosignatures the operator asks for (C2SP tlog-policy); null: nobody's. */
export async function setPolicy(db: Queryable, logId: string, policy: string | null): Promise<void> {
  await db.query('update log_state set policy = $2 where log_id = $1 and policy is distinct from $2', [
    logId,
    policy,
  ]);
}

export async function readPolicy(db: Queryable, logId: string): Promise<string | null> {
  const { rows } = await db.query<{ policy: string | null }>(
    'select policy from log_state where log_id = $1',
    [logId],
  );
  return rows[0]?.policy ?? null;
}
