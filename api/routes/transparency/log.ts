import { z } from 'zod';
import { nodeSha256 } from '../../../attestation/keys/node-verifiers.ts';
import { createTileMemory } from '../../../attestation/log/known-tiles.ts';
import { createLogReader, type LogReader } from '../../../attestation/log/reader.ts';
import { treeHash } from '../../../domain/log/hash.ts';
import { findClosedLogOf } from '../../../store/log-close.ts';
import { readLogsNow, type LogNow } from '../../../store/log-now.ts';
import { narrowed, type Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';
import { createSharedRead } from './shared-read.ts';

/** A log that this database keeps, as it stands now, and what reads it. */
export interface ServedLog extends Omit<LogNow, 'grows'> {
  reader: LogReader;
  /** Whether the execution that was asked about was erased. */
  isErased: boolean;
}

/** The log of this id; without one, the log that grows. Throws `log_not_found`. */
export type LogFinder = (logId?: string, executionId?: string | null) => Promise<ServedLog>;

/** How often logs are looked at while several ask for them all the time; nobody waits longer for it. */
const LOOK_EVERY_MS = 10;
/** What stands in logs is read on so many connections at a time; the others of the pool are for those who bring jobs. */
export const LOG_CONNECTIONS = 3;

const LOG_ID_CHARACTERS = 64;
const logId = z.string().max(LOG_ID_CHARACTERS);

/** Which log is asked for, in a query. */
export const logChoice = {
  log_id: logId
    .optional()
    .describe(
      'One of `logs` in `/.well-known/beacon-log.json`, closed ones too; default the log that grows.',
    ),
};

/** The same in a path: C2SP clients take everything before `/checkpoint` and `/tile/` as the address of a log. */
export const logParams = z.object({ log_id: logId.describe('A log of this service, closed or not.') });

const NO_SUCH = 'no log of this id is served here; /.well-known/beacon-log.json lists those that are';

/** Where a log is served whether it is closed or not. */
export const logPath = (id: string): string => `/logs/${id}`;

/** Finds a log when it is first asked for; the sequencer may have made it after this process started. */
export function createLogFinder(pool: Pool): LogFinder {
  // As many as the database has logs.
  const readers = new Map<string, LogReader>();
  const tiles = createTileMemory(treeHash(nodeSha256));
  const few = narrowed(pool, LOG_CONNECTIONS);
  const look = createSharedRead(
    (asked: readonly { logId: string | undefined; executionId: string | null | undefined }[]) =>
      readLogsNow(
        pool,
        distinct(asked.map(({ logId }) => logId)),
        distinct(asked.map(({ executionId }) => executionId)),
      ),
    LOOK_EVERY_MS,
  );
  return async (logId, executionId) => {
    const { logs, erased } = await look({ logId, executionId });
    const found = logs.find(({ grows, head }) => (logId === undefined ? grows : head.logId === logId));
    if (found === undefined)
      throw new ApiError('log_not_found', logId === undefined ? {} : { message: NO_SUCH });
    const { head, checkpoint, cosignatures } = found;
    const reader = readers.get(head.logId) ?? createLogReader(few, head.logId, tiles.of(head.logId));
    readers.set(head.logId, reader);
    const isErased = executionId !== undefined && executionId !== null && erased.has(executionId);
    return { head, checkpoint, cosignatures, reader, isErased };
  };
}

function distinct(values: readonly (string | null | undefined)[]): string[] {
  return [...new Set(values)].filter((value) => value !== undefined && value !== null);
}

/** What reads the log in which the entries of an execution, job or CID stand: the one that grows, or one that was closed. */
export async function readerOf(
  pool: Pool,
  { head, reader }: ServedLog,
  subject: { executionId?: string; cid?: string; jobId?: string },
): Promise<LogReader> {
  if (!head.followsOthers) return reader;
  const closed = await findClosedLogOf(pool, subject);
  return closed === undefined ? reader : createLogReader(pool, closed);
}
