import { z } from 'zod';
import { createLogReader, type LogReader } from '../../../attestation/log/reader.ts';
import { findClosedLogOf } from '../../../store/log-close.ts';
import { findLog, findLogById, type LogHead } from '../../../store/log-state.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';

/** A log that this database keeps, and what reads it. */
export interface ServedLog {
  head: LogHead;
  reader: LogReader;
}

/** The log of this id; without one, the log that grows. Throws `log_not_found`. */
export type LogFinder = (logId?: string) => Promise<ServedLog>;

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

/** Where a log is served whether it is closed or not. */
export const logPath = (id: string): string => `/logs/${id}`;

/** Finds a log when it is first asked for; the sequencer may have made it after this process started. */
export function createLogFinder(pool: Pool): LogFinder {
  // As many as the database has logs.
  const readers = new Map<string, LogReader>();
  return async (id) => {
    const head = await (id === undefined ? findLog(pool) : findLogById(pool, id));
    if (head === undefined) throw new ApiError('log_not_found');
    const reader = readers.get(head.logId) ?? createLogReader(pool, head.logId);
    readers.set(head.logId, reader);
    return { head, reader };
  };
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
