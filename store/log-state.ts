import { withTransaction, type Pool, type Queryable } from './pool.ts';

/** Key of the advisory lock under which the log and its first receipt key are made; any constant will do. */
export const LOG_LOCK = 7_235_091_450;

export type LogStoreErrorCode =
  'fsync_off' | 'head_moved' | 'batch_incomplete' | 'checkpoint_forked' | 'key_refused' | 'not_open';

export class LogStoreError extends Error {
  override readonly name = 'LogStoreError';
  readonly code: LogStoreErrorCode;
  constructor(code: LogStoreErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** The head of the log: what the next batch is appended to. */
export interface LogHead {
  logId: string;
  origin: string;
  size: number;
  /** How many of its entries are shown. */
  published: number;
  root: Uint8Array;
  /** The verifier key with which it began; null until a sequencer first started. */
  vkey: string | null;
  /** What remembers the last signed head outside the database; null until the sequencer first led. */
  rollbackGuard: RollbackGuard | null;
  /** There are closed logs before it. */
  followsOthers: boolean;
}

export type RollbackGuard = 'file' | 'none';

/** SQL: the columns of a head, of `log_state l`. */
export const LOG_HEAD = `l.log_id as "logId", l.origin, l.size, l.published, l.root, l.vkey,
  l.rollback_guard as "rollbackGuard", exists (select from log_state where closed_at is not null) as "followsOthers"`;

/** The log of this database that grows, if it was made. */
export async function findLog(db: Queryable): Promise<LogHead | undefined> {
  const { rows } = await db.query<LogHead>(`select ${LOG_HEAD} from log_state l where l.closed_at is null`);
  return rows[0];
}

/** A log of this database, closed or not. */
export async function findLogById(db: Queryable, logId: string): Promise<LogHead | undefined> {
  const { rows } = await db.query<LogHead>(`select ${LOG_HEAD} from log_state l where l.log_id = $1`, [
    logId,
  ]);
  return rows[0];
}

/** Makes the log unless there is one; either way answers the one there is. */
export async function createLog(
  pool: Pool,
  log: { logId: string; origin: string; root: Uint8Array },
): Promise<LogHead> {
  return withTransaction(pool, async (tx) => {
    await tx.query('select pg_advisory_xact_lock($1)', [LOG_LOCK]);
    const known = await findLog(tx);
    if (known !== undefined) return known;
    await tx.query('insert into log_state (log_id, origin, root) values ($1, $2, $3)', [
      log.logId,
      log.origin,
      log.root,
    ]);
    return { ...log, size: 0, published: 0, vkey: null, rollbackGuard: null, followsOthers: false };
  });
}

/** Fixes the log's first verifier key when its first sequencer starts; a log that has one keeps it. */
export async function fixVkey(db: Queryable, logId: string, vkey: string, keyId: string): Promise<void> {
  await db.query('update log_state set vkey = $2, vkey_id = $3 where log_id = $1 and vkey is null', [
    logId,
    vkey,
    keyId,
  ]);
}

/** A signed checkpoint must not be lost once somebody saw it, so the database has to flush what it commits. */
export async function requireDurability(db: Queryable): Promise<void> {
  const { rows } = await db.query<{ fsync: string }>('show fsync');
  if (rows[0]?.fsync !== 'on') {
    throw new LogStoreError('fsync_off', 'the database runs with fsync=off: a log on it could lose entries');
  }
}

/**
 * SQL: how many entries of log `$1` may be shown. Entries and checkpoints beyond stand in the tables, but count as
 * pending until the rollback guard remembers them.
 */
export const PUBLISHED = '(select published from log_state where log_id = $1)';

/** Counts that a sequencer found its log moved on by another one, which a lock should keep from happening. */
export async function reportMeeting(db: Queryable, logId: string): Promise<void> {
  await db.query('update log_state set meetings = meetings + 1, met_at = now() where log_id = $1', [logId]);
}

/** What the process that holds the lead of the log says of itself, for health and people. */
export interface SequencerReport {
  state: 'leading' | 'refusing';
  rollbackGuard: RollbackGuard;
  /** Why it refuses. */
  refusal: { code: string; message: string } | null;
}

export async function reportSequencer(
  db: Queryable,
  logId: string,
  { state, rollbackGuard, refusal }: SequencerReport,
): Promise<void> {
  await db.query(
    `update log_state set sequencer = $2, rollback_guard = $3, refusal_code = $4, refusal = $5, sequencer_at = now()
     where log_id = $1`,
    [logId, state, rollbackGuard, refusal?.code ?? null, refusal?.message ?? null],
  );
}

export interface SequencerSaid extends SequencerReport {
  at: Date;
  /** Seconds since two sequencers last met; null when they never did. */
  metSecondsAgo: number | null;
}

/** Undefined before a sequencer ever led. */
export async function readSequencer(db: Queryable): Promise<SequencerSaid | undefined> {
  const { rows } = await db.query<{
    state: SequencerReport['state'];
    rollbackGuard: RollbackGuard;
    code: string | null;
    message: string | null;
    at: Date;
    metSecondsAgo: number | null;
  }>(
    `select sequencer as state, rollback_guard as "rollbackGuard", refusal_code as code, refusal as message,
            sequencer_at as at, extract(epoch from now() - met_at)::float8 as "metSecondsAgo"
     from log_state where sequencer is not null and closed_at is null`,
  );
  const row = rows[0];
  if (row === undefined) return undefined;
  const { code, message, ...said } = row;
  return { ...said, refusal: code === null ? null : { code, message: message ?? '' } };
}
