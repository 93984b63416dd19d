import { z } from 'zod';
import type { LogReader } from '../../../attestation/log/reader.ts';
import type { EntryQuery, LogEntry } from '../../../store/log-entries.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';
import { wholeNumber } from '../../schemas.ts';
import { stored } from '../../openapi/route-schema.ts';
import type { RouteApp } from '../app-type.ts';
import { prefersText } from '../negotiate.ts';
import { viewerOf } from '../viewer.ts';
import { createLogGrowth } from './growth.ts';
import { logChoice, readerOf, type LogFinder } from './log.ts';
import { isMissing, logProblem } from './problem.ts';
import { proof, proofAnswer } from './proof-answer.ts';
import { seesSubject, visibleCid, visibleExecution } from './subject.ts';

/** Longer than an entry ever takes while the log is well; shorter than any proxy's patience. */
const MAX_WAIT_S = 5;

const query = z.object({
  ...logChoice,
  index: wholeNumber(0, Number.MAX_SAFE_INTEGER).optional(),
  execution_id: z.string().optional(),
  ipfs_cid: z.string().max(128).optional().describe('Of a receipt; that of a job summary does too.'),
  tree_size: wholeNumber(1, Number.MAX_SAFE_INTEGER)
    .optional()
    .describe('Size of the checkpoint to prove under; default the newest.'),
  wait: wholeNumber(0, MAX_WAIT_S).optional().describe('Seconds to wait for an entry that is not there yet.'),
});

/** Inclusion proofs by entry, execution or CID; what several of them name must be one entry. */
export function registerProof(app: RouteApp, pool: Pool, findLog: LogFinder): void {
  const growth = createLogGrowth(async () => {
    const checkpoint = await (await findLog()).reader.newestCheckpoint();
    return checkpoint?.size ?? 0;
  });

  /** Looks again whenever the log has grown, for at most `waitS`. */
  async function awaited(reader: LogReader, waitS: number, find: () => Promise<LogEntry[]>) {
    const signal = AbortSignal.timeout(waitS * 1_000);
    for (;;) {
      const before = waitS === 0 ? 0 : ((await reader.newestCheckpoint())?.size ?? 0);
      try {
        return await find();
      } catch (error) {
        if (waitS === 0 || !isMissing(error) || !(await growth.wait(before, signal)))
          return logProblem(error);
      }
    }
  }

  app.get(
    '/api/v1/transparency/proof',
    {
      config: { permission: 'read', mutates: false },
      schema: {
        operationId: 'getProof',
        summary: 'That an entry is in the log, under a checkpoint.',
        description:
          'Several parameters must name one entry. With `Accept: text/plain` the answer is the `tlog_proof` alone.',
        tags: ['transparency'],
        querystring: query,
        response: {
          200: {
            description: 'An inclusion proof (RFC 6962).',
            content: {
              ...stored('application/json', '', proof).content,
              ...stored('text/plain', '').content,
            },
          },
        },
        answerHeaders: { 200: ['Cache-Control'] },
        errors: [
          'validation_error',
          'invalid_execution_id',
          'proof_subject_missing',
          'proof_subjects_disagree',
          'proof_not_found',
          'checkpoint_not_found',
          'not_yet_logged',
          'cid_is_bundle',
          'log_not_found',
          'log_damaged',
        ],
      },
    },
    async (request, reply) => {
      const { log_id: logId, index, execution_id: execution, ipfs_cid: cid, wait = 0 } = request.query;
      const served = await findLog(logId);
      const viewer = viewerOf(request.principal);
      const asked: Promise<EntryQuery>[] = [];
      if (index !== undefined) asked.push(Promise.resolve({ index }));
      if (execution !== undefined && execution !== '')
        asked.push(visibleExecution(pool, execution, viewer).then((executionId) => ({ executionId })));
      if (cid !== undefined && cid !== '')
        asked.push(visibleCid(pool, cid, viewer).then((visible) => ({ cid: visible })));
      const queries = await Promise.all(asked);
      if (queries.length === 0) throw new ApiError('proof_subject_missing');
      // An index alone is one of the log that grows.
      const subject = Object.assign({}, ...queries) as EntryQuery;
      const reader = logId === undefined ? await readerOf(pool, served, subject) : served.reader;
      const entries = await awaited(reader, wait, () =>
        Promise.all(queries.map((query) => reader.entry(query))),
      );
      const entry = oneOf(entries);
      // The checkpoint is read after the entry, so the newest covers it.
      const checkpoint = await reader.checkpoint(request.query.tree_size).catch(logProblem);
      if (entry.index >= checkpoint.size) {
        throw new ApiError('proof_not_found', {
          message: `entry ${entry.index} is not among the first ${checkpoint.size}`,
        });
      }
      const answer = await proofAnswer(
        pool,
        reader,
        entry,
        checkpoint,
        await seesSubject(pool, entry, viewer),
      );
      reply.headers({ vary: 'Accept, Origin', 'cache-control': 'no-cache' });
      return prefersText(request.headers.accept)
        ? reply.type('text/plain; charset=utf-8').send(answer.tlog_proof)
        : reply.type('application/json; charset=utf-8').send(JSON.stringify(answer));
    },
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
