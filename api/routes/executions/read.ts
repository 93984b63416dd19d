import { z } from 'zod';
import { LIMITS } from '../../../domain/limits.ts';
import {
  countExecutions,
  getReceipt,
  listAttempts,
  listExecutions,
  listFiles,
  listLogLines,
} from '../../../store/execution-reads.ts';
import { EXECUTION_STATES, isTerminal } from '../../../domain/states.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';
import { executionReceipt } from '../../openapi/documents.ts';
import { stored, unchanged } from '../../openapi/route-schema.ts';
import {
  attempt,
  executionId,
  executionItem,
  lenientInt,
  outputFile,
  triedExecution,
} from '../../schemas.ts';
import type { RouteApp } from '../app-type.ts';
import { viewerOf } from '../viewer.ts';
import { isKnown } from '../conditional.ts';
import { decodeCursor, encodeCursor } from '../cursor.ts';
import { refuseErased } from '../erased.ts';
import { findExecution, UUID } from './find.ts';
import { LIST_OUTPUT_BYTES, withTries } from './of-job.ts';
import { attemptView, executionView, fileView } from './view.ts';
import { waiting, whatItWaitsFor } from './waiting.ts';

const DEFAULT_EXECUTIONS = 10;
const MAX_EXECUTIONS = 100;
/** An offset is walked row by row; whoever goes further has the cursor. */
const MAX_OFFSET = 10_000;
const MAX_LOG_LINES = 1_000;
const READ = { permission: 'read', mutates: false } as const;
const LOG_CURSOR = /^(\d{1,9})\.(\d{1,9})$/;

const details = triedExecution
  .extend({
    attempts: z.array(attempt),
    files: z.array(outputFile).describe('What the deciding attempt left in its output folder.'),
    waits_for: waiting
      .nullable()
      .describe('Of one that is `placing`: why it has no place yet, as far as anything is known.'),
    receipt: executionReceipt.nullable().describe('Null before the end. Its exact bytes are at `receipt`.'),
  })
  .meta({ id: 'ExecutionDetails' });

type ReceiptView = z.infer<typeof executionReceipt>;

const logLine = z
  .object({
    attempt: z.int(),
    seq: z.int(),
    time_us: z.int().describe('Unix time in microseconds.'),
    source: z.enum(['stdout', 'stderr', 'system']),
    line: z.string(),
  })
  .meta({ id: 'LogLine' });

function executionPosition(cursor: string) {
  const position = decodeCursor(cursor);
  if (!UUID.test(position.id)) throw new ApiError('invalid_cursor');
  return position;
}

export function registerExecutionReads(app: RouteApp, pool: Pool): void {
  app.get(
    '/api/v1/executions',
    {
      config: READ,
      schema: {
        operationId: 'listExecutions',
        summary: 'Executions of all jobs, newest first.',
        tags: ['executions'],
        querystring: z.object({
          limit: lenientInt(1, MAX_EXECUTIONS, DEFAULT_EXECUTIONS),
          offset: lenientInt(0, Number.MAX_SAFE_INTEGER, 0).refine(
            (offset) => offset <= MAX_OFFSET,
            `is at most ${MAX_OFFSET}: go on with cursor, the next_cursor of the page before`,
          ),
          cursor: z.string().max(512).optional().describe('`next_cursor` of the page before.'),
        }),
        response: {
          200: z
            .object({
              executions: z.array(executionItem),
              limit: z.int(),
              offset: z.int(),
              total: z.int(),
              next_cursor: z.string().nullable(),
            })
            .describe('A page; `next_cursor` is null on the last.'),
        },
        errors: ['validation_error', 'invalid_cursor'],
      },
    },
    async (request) => {
      const { limit, offset, cursor } = request.query;
      const viewer = viewerOf(request.principal);
      const page = {
        limit: limit + 1,
        offset,
        outputBytes: LIST_OUTPUT_BYTES,
        ...(cursor === undefined || cursor === '' ? {} : { after: executionPosition(cursor) }),
      };
      const [rows, total] = await Promise.all([
        listExecutions(pool, page, viewer),
        countExecutions(pool, viewer),
      ]);
      const shown = rows.slice(0, limit);
      const last = rows.length > limit ? shown.at(-1) : undefined;
      return {
        executions: shown.map(executionView),
        limit,
        offset,
        total,
        next_cursor: last === undefined ? null : encodeCursor(last),
      };
    },
  );

  const urls = {
    getExecution: '/api/v1/executions/:id',
    getExecutionDetails: '/api/v1/executions/:id/details',
  };
  for (const [operationId, url] of Object.entries(urls)) {
    app.get(
      url,
      {
        config: READ,
        schema: {
          operationId,
          summary: 'One execution with its attempts, files and receipt.',
          tags: ['executions'],
          params: executionId,
          response: {
            200: { description: 'The execution.', content: { 'application/json': { schema: details } } },
          },
          errors: ['invalid_execution_id', 'execution_not_found', 'block_damaged'],
        },
      },
      async (request) => {
        const row = await findExecution(pool, request.params.id, request.principal, LIMITS.outputInlineBytes);
        const [[tried], attempts, files, waitsFor, receipt] = await Promise.all([
          withTries(pool, row.job_id, [row]),
          listAttempts(pool, [row.id]),
          listFiles(pool, row.id, row.attempt),
          whatItWaitsFor(pool, row),
          getReceipt(pool, row.id),
        ]);
        return {
          ...tried!,
          attempts: (attempts.get(row.id) ?? []).map(attemptView),
          files: files.map((file) => fileView(row.id, file)),
          waits_for: waitsFor,
          receipt: receipt === undefined ? null : (JSON.parse(receipt.bytes.toString('utf8')) as ReceiptView),
        };
      },
    );
  }

  app.get(
    '/api/v1/executions/:id/receipt',
    {
      config: READ,
      schema: {
        operationId: 'getReceipt',
        summary: 'The receipt, byte for byte as it was signed; its ETag is its CID.',
        tags: ['executions'],
        params: executionId,
        response: {
          200: stored('application/json', 'The receipt as canonical JSON.', executionReceipt),
          304: unchanged,
        },
        answerHeaders: {
          200: ['ETag', 'Cache-Control', 'X-Ipfs-Cid'],
          304: ['ETag', 'Cache-Control', 'X-Ipfs-Cid'],
        },
        errors: [
          'invalid_execution_id',
          'execution_not_found',
          'receipt_not_found',
          'erased',
          'block_damaged',
        ],
      },
    },
    async (request, reply) => {
      const row = await findExecution(pool, request.params.id, request.principal);
      const receipt = await getReceipt(pool, row.id);
      if (receipt === undefined) {
        await refuseErased(pool, row.id);
        throw new ApiError('receipt_not_found');
      }
      reply.headers({ 'cache-control': 'no-cache', 'x-ipfs-cid': receipt.cid });
      if (isKnown(request, reply, receipt.cid)) return reply.code(304).send();
      return reply.type('application/json; charset=utf-8').send(receipt.bytes);
    },
  );

  app.get(
    '/api/v1/executions/:id/logs',
    {
      config: READ,
      schema: {
        operationId: 'listExecutionLogs',
        summary: 'What the program wrote, over all attempts.',
        tags: ['executions'],
        params: executionId,
        querystring: z.object({
          after: z.string().regex(LOG_CURSOR, 'must be `next_after` of the page before').optional(),
          limit: lenientInt(1, MAX_LOG_LINES, MAX_LOG_LINES),
        }),
        response: {
          200: z
            .object({
              execution_id: z.string(),
              status: z.enum(EXECUTION_STATES),
              lines: z.array(logLine),
              next_after: z.string(),
              ended: z.boolean().describe('No line will follow these.'),
            })
            .describe('A page of lines.'),
        },
        errors: ['validation_error', 'invalid_execution_id', 'execution_not_found'],
      },
    },
    async (request) => {
      const { after = '0.0', limit } = request.query;
      const [, attempt, seq] = LOG_CURSOR.exec(after)!;
      const row = await findExecution(pool, request.params.id, request.principal);
      const lines = await listLogLines(pool, row.id, { attempt: Number(attempt), seq: Number(seq) }, limit);
      const last = lines.at(-1);
      return {
        execution_id: row.id,
        status: row.state,
        lines,
        next_after: last === undefined ? after : `${last.attempt}.${last.seq}`,
        ended: isTerminal(row.state) && lines.length < limit,
      };
    },
  );
}
