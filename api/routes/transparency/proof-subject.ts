import { LRUCache } from 'lru-cache';
import type { LogReader } from '../../../attestation/log/reader.ts';
import { findClosedLogOf } from '../../../store/log-close.ts';
import type { EntryQuery, LogEntry } from '../../../store/log-entries.ts';
import type { Queryable } from '../../../store/pool.ts';
import type { Viewer } from '../../../store/principals.ts';
import { ApiError } from '../../errors.ts';
import { createLogGrowth } from './growth.ts';
import type { LogFinder, ServedLog } from './log.ts';
import { isMissing, logProblem } from './problem.ts';
import { visibleCid, visibleExecution } from './subject.ts';

/** What was asked for is remembered of so many requests. */
const MAX_REMEMBERED = 10_000;
/** Longer texts are no names that exist. */
const MAX_KEY_CHARACTERS = 512;

/** What a request for a proof names, and who asks. */
export interface ProofQuery {
  logId: string | undefined;
  index: number | undefined;
  execution: string | undefined;
  cid: string | undefined;
  /** Seconds to wait for an entry that is not there yet. */
  waitS: number;
  viewer: Viewer;
}

/** The entry that was asked for, and its log as it stood after that was found out. */
export interface ProofSubject {
  index: number;
  executionId: string | null;
  served: ServedLog;
}

/** An answer to a question, and the entries that were shown then. */
interface Remembered {
  logId: string;
  published: number;
  index: number;
  executionId: string | null;
}

/**
 * Finds the entry that a request names; what several parameters name must be one. What was found holds until the log
 * grows, or its execution is erased; what an index alone names holds for ever.
 */
export function createProofSubjects(db: Queryable, findLog: LogFinder) {
  const remembered = new LRUCache<string, Remembered>({ max: MAX_REMEMBERED });
  const growth = createLogGrowth(async () => (await findLog()).checkpoint?.size ?? 0);

  /** Looks again whenever the log has grown, for at most `waitS`. */
  async function awaited(logId: string, waitS: number, find: () => Promise<LogEntry[]>) {
    const signal = AbortSignal.timeout(waitS * 1_000);
    for (;;) {
      const before = waitS === 0 ? 0 : ((await findLog(logId)).checkpoint?.size ?? 0);
      try {
        return await find();
      } catch (error) {
        if (waitS === 0 || !isMissing(error) || !(await growth.wait(before, signal)))
          return logProblem(error);
      }
    }
  }

  async function entryOf(query: ProofQuery, served: ServedLog): Promise<[LogReader, LogEntry]> {
    const { logId, index, execution, cid, viewer, waitS } = query;
    const asked: Promise<EntryQuery>[] = [];
    if (index !== undefined) asked.push(Promise.resolve({ index }));
    if (execution !== undefined)
      asked.push(visibleExecution(db, execution, viewer).then((executionId) => ({ executionId })));
    if (cid !== undefined) asked.push(visibleCid(db, cid, viewer).then((visible) => ({ cid: visible })));
    const queries = await Promise.all(asked);
    if (queries.length === 0) throw new ApiError('proof_subject_missing');
    // An index alone is one of the log that grows.
    const subject = Object.assign({}, ...queries) as EntryQuery;
    const closed =
      logId === undefined && served.head.followsOthers ? await findClosedLogOf(db, subject) : undefined;
    const { reader } = closed === undefined ? served : await findLog(closed);
    const entries = await awaited(reader.logId, waitS, () =>
      Promise.all(queries.map((one) => reader.entry(one))),
    );
    return [reader, oneOf(entries)];
  }

  return async (query: ProofQuery): Promise<ProofSubject> => {
    const key = keyOf(query);
    const known = remembered.get(key);
    const served = await findLog(query.logId, known?.executionId);
    if (known !== undefined && stillHolds(known, query, served)) return { ...known, served };
    const [reader, { index, executionId }] = await entryOf(query, served);
    const { logId } = reader;
    if (key.length <= MAX_KEY_CHARACTERS)
      remembered.set(key, { logId, published: served.head.published, index, executionId });
    // Read after the entry, so that the newest checkpoint covers it.
    return { index, executionId, served: await findLog(logId, executionId) };
  };
}

function keyOf({ logId, index, execution, cid, viewer }: ProofQuery): string {
  return JSON.stringify([logId, index, execution, cid, viewer.all, viewer.owner]);
}

function stillHolds(known: Remembered, { logId, execution, cid }: ProofQuery, served: ServedLog): boolean {
  if (known.logId !== served.head.logId) return false;
  if (execution === undefined && cid === undefined) return true;
  return (
    known.published === served.head.published &&
    !served.isErased &&
    (logId !== undefined || !served.head.followsOthers)
  );
}

function oneOf([entry, ...others]: readonly LogEntry[]): LogEntry {
  if (others.some((other) => other.index !== entry!.index)) {
    throw new ApiError('proof_subjects_disagree', {
      details: { indexes: [entry!, ...others].map((subject) => subject.index) },
    });
  }
  return entry!;
}
