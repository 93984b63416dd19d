import type { StoredCosignature } from './log-cosignatures.ts';
import { LOG_HEAD, type LogHead } from './log-state.ts';
import type { StoredCheckpoint } from './log-tiles.ts';
import { prepared, type Queryable } from './pool.ts';

/** What a log shows at one moment. */
export interface LogNow {
  head: LogHead;
  grows: boolean;
  /** Undefined before the first entry. */
  checkpoint: StoredCheckpoint | undefined;
  /** The newest line of each cosigner below that checkpoint. */
  cosignatures: StoredCosignature[];
}

export interface LogsNow {
  logs: LogNow[];
  /** Those of the executions asked for that were erased. */
  erased: ReadonlySet<string>;
}

type Row = LogHead & {
  grows: boolean;
  checkpointSize: number | null;
  checkpointRoot: Buffer;
  note: string;
  signedAt: Date;
  cosignatures: (Omit<StoredCosignature, 'signedAt'> & { signedAt: string })[] | null;
  erased: string[];
};

/**
 * Names come as one text each, divided by blanks: with arrays PostgreSQL would plan the statement anew each time, which
 * costs three times as much as running it, because a plan for the very array always looks cheaper.
 */
const LOGS_NOW = prepared(
  'logs now',
  `select ${LOG_HEAD}, l.closed_at is null as grows, c.size as "checkpointSize", c.root as "checkpointRoot", c.note,
     c.signed_at as "signedAt",
     (select json_agg(json_build_object('cosigner', s.cosigner, 'keyId', s.key_id, 'line', s.line, 'signedAt', s.signed_at)
                      order by s.cosigner, s.key_id)
      from (
        select distinct on (cosigner, key_id) cosigner, key_id, line, signed_at from log_cosignatures
        where log_id = l.log_id and size = c.size order by cosigner, key_id, signed_at desc) s) as cosignatures,
     array(
       select wanted from string_to_table($2, ' ') as wanted
       where (select true from erasures g where g.execution_id = wanted::uuid)) as erased
   from log_state l
   left join lateral (
     select size, root, note, signed_at from log_checkpoints
     where log_id = l.log_id and size <= l.published order by size desc limit 1) c on true
   where l.closed_at is null or l.log_id in (select string_to_table($1, ' '))`,
);

/** The log that grows, and those of `logIds`, in one round trip; one of an unknown id is left out. */
export async function readLogsNow(
  db: Queryable,
  logIds: readonly string[],
  executionIds: readonly string[],
): Promise<LogsNow> {
  const { rows } = await db.query<Row>(
    LOGS_NOW([logIds.filter((id) => !id.includes(' ')).join(' '), executionIds.join(' ')]),
  );
  return { logs: rows.map(logNow), erased: new Set(rows[0]?.erased) };
}

function logNow(row: Row): LogNow {
  const { grows, checkpointSize, checkpointRoot, note, signedAt, cosignatures, erased: _, ...head } = row;
  return {
    head,
    grows,
    checkpoint:
      checkpointSize === null ? undefined : { size: checkpointSize, root: checkpointRoot, note, signedAt },
    cosignatures: (cosignatures ?? []).map((line) => ({ ...line, signedAt: new Date(line.signedAt) })),
  };
}
