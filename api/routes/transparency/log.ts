import { createLogReader, type LogReader } from '../../../attestation/log/reader.ts';
import { findClosedLogOf } from '../../../store/log-close.ts';
import { findLog, type LogHead } from '../../../store/log-state.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';

/** The log that this database keeps, and what reads it. */
export interface ServedLog {
  head: LogHead;
  reader: LogReader;
}

/** Finds the log when it is first asked for; the sequencer may have made it after this process started. */
export function createLogFinder(pool: Pool): () => Promise<ServedLog> {
  let reader: LogReader | undefined;
  return async () => {
    const head = await findLog(pool);
    if (head === undefined) throw new ApiError('log_not_found');
    if (reader?.logId !== head.logId) reader = createLogReader(pool, head.logId);
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
