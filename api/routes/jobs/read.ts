import { z } from 'zod';
import { JOB_STATE_ALIASES, JOB_STATES, type JobState } from '../../../domain/states.ts';
import { LIMITS } from '../../../domain/limits.ts';
import { getJob, getJobState, listJobEvents, listJobs } from '../../../store/job-reads.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';
import { stored, unchanged } from '../../openapi/route-schema.ts';
import { jobSpec } from '../../openapi/job-spec.ts';
import {
  executionItem,
  jobId,
  jobItem,
  jobView as jobShape,
  lenientInt,
  triedExecution,
} from '../../schemas.ts';
import type { RouteApp } from '../app-type.ts';
import { isKnown, nameOf } from '../conditional.ts';
import { decodeCursor, encodeCursor } from '../cursor.ts';
import { allJobExecutions, jobExecutions } from '../executions/of-job.ts';
import { refuseErasedSpec } from '../erased.ts';
import { viewerOf } from '../viewer.ts';
import { jobItemView, jobView } from './view.ts';

const DEFAULT_JOBS = 50;
const DEFAULT_EXECUTIONS = 20;
const DEFAULT_EVENTS = 100;
const MAX_OFFSET = 1_000_000;
const READ = { permission: 'read', mutates: false } as const;

const status = z
  .string()
  .transform((word, context): JobState => {
    const state = Object.hasOwn(JOB_STATE_ALIASES, word)
      ? JOB_STATE_ALIASES[word]
      : JOB_STATES.find((known) => known === word);
    if (state !== undefined) return state;
    context.addIssue({
      code: 'custom',
      message: `is no status; known are ${[...JOB_STATES, ...Object.keys(JOB_STATE_ALIASES)].join(', ')}`,
    });
    return z.NEVER;
  })
  .optional();

const jobEvent = z
  .object({
    seq: z.int().describe('From 1, without gaps.'),
    type: z.string(),
    execution_id: z.string().nullable(),
    payload: z.looseObject({}),
    recorded_at: z.iso.datetime(),
  })
  .meta({ id: 'JobEvent' });

export function registerJobReads(app: RouteApp, pool: Pool): void {
  app.get(
    '/api/v1/jobs',
    {
      config: READ,
      schema: {
        operationId: 'listJobs',
        summary: 'List jobs, newest first.',
        description: 'Jobs that come in meanwhile are neither repeated nor do they displace others.',
        tags: ['jobs'],
        querystring: z.object({
          limit: lenientInt(1, LIMITS.pageRows, DEFAULT_JOBS),
          cursor: z.string().max(512).optional().describe('`next_cursor` of the page before.'),
          status,
        }),
        response: {
          200: z
            .object({ jobs: z.array(jobItem), next_cursor: z.string().nullable() })
            .describe('A page; `next_cursor` is null on the last.'),
        },
        errors: ['validation_error', 'invalid_cursor'],
      },
    },
    async (request) => {
      const { limit, cursor, status: state } = request.query;
      const rows = await listJobs(pool, {
        limit: limit + 1,
        viewer: viewerOf(request.principal),
        ...(cursor === undefined || cursor === '' ? {} : { after: decodeCursor(cursor) }),
        ...(state === undefined ? {} : { state }),
      });
      const page = rows.slice(0, limit);
      const last = rows.length > limit ? page.at(-1) : undefined;
      return { jobs: page.map(jobItemView), next_cursor: last === undefined ? null : encodeCursor(last) };
    },
  );

  app.get(
    '/api/v1/jobs/:id',
    {
      config: READ,
      schema: {
        operationId: 'getJob',
        summary: 'One job; with its executions when asked.',
        description:
          '`job` has the members of the spec with those of Beacon laid over them; what was signed, byte for byte, is at `links.spec`.',
        tags: ['jobs'],
        params: jobId,
        querystring: z.object({
          include: z
            .enum(['executions', 'all', 'latest'])
            .optional()
            .catch(undefined)
            .describe(
              'executions: the current answer of each; all: earlier tries too; latest: the one that ended last, with its receipt.',
            ),
          exec_limit: lenientInt(1, LIMITS.pageRows, DEFAULT_EXECUTIONS),
          exec_offset: lenientInt(0, MAX_OFFSET, 0),
        }),
        response: {
          200: z
            .object({
              job: jobShape,
              status: z.enum(JOB_STATES),
              executions: z
                .array(executionItem.extend({ receipt: z.unknown().optional() }))
                .optional()
                .describe('With `include`; `receipt` with `include=latest`.'),
            })
            .describe('The job.'),
        },
        errors: ['job_not_found'],
      },
    },
    async (request) => {
      const { include, exec_limit: limit, exec_offset: offset } = request.query;
      const row = await getJob(pool, request.params.id, viewerOf(request.principal));
      if (row === undefined) throw new ApiError('job_not_found');
      const executions =
        include === undefined
          ? {}
          : { executions: await jobExecutions(pool, row.id, include, { limit, offset }) };
      return { job: jobView(row), status: row.state, ...executions };
    },
  );

  app.get(
    '/api/v1/jobs/:id/spec',
    {
      config: READ,
      schema: {
        operationId: 'getJobSpec',
        summary: 'The signed spec, byte for byte as it was received.',
        tags: ['jobs'],
        params: jobId,
        response: {
          200: stored('application/json', 'The bytes that were submitted.', jobSpec),
          304: unchanged,
        },
        answerHeaders: { 200: ['ETag', 'Cache-Control'], 304: ['ETag', 'Cache-Control'] },
        errors: ['job_not_found', 'erased'],
      },
    },
    async (request, reply) => {
      const row = await getJob(pool, request.params.id, viewerOf(request.principal));
      if (row === undefined) throw new ApiError('job_not_found');
      if (row.raw.length === 0) await refuseErasedSpec(pool, row.id);
      reply.header('cache-control', 'no-cache');
      if (isKnown(request, reply, nameOf(row.raw))) return reply.code(304).send();
      return reply.type('application/json; charset=utf-8').send(row.raw);
    },
  );

  app.get(
    '/api/v1/jobs/:id/events',
    {
      config: READ,
      schema: {
        operationId: 'listJobEvents',
        summary: "A job's own events in order, without gaps.",
        description: 'The same events as they happen, with those of the log: the feed at `/ws`.',
        tags: ['jobs'],
        params: jobId,
        querystring: z.object({
          after_seq: lenientInt(0, Number.MAX_SAFE_INTEGER, 0),
          limit: lenientInt(1, LIMITS.pageRows, DEFAULT_EVENTS),
        }),
        response: {
          200: z
            .object({
              job_id: z.string(),
              events: z.array(jobEvent),
              next_after_seq: z.int().describe('`after_seq` of the next page.'),
            })
            .describe('A page of events; an empty one says that there is no more for now.'),
        },
        errors: ['job_not_found'],
      },
    },
    async (request) => {
      const { after_seq: after, limit } = request.query;
      const job = await getJobState(pool, request.params.id, viewerOf(request.principal));
      if (job === undefined) throw new ApiError('job_not_found');
      const rows = await listJobEvents(pool, job.id, after, limit);
      return {
        job_id: job.id,
        events: rows.map(({ seq, type, execution_id, payload, recorded_at }) => ({
          seq,
          type,
          execution_id,
          payload: payload as Record<string, unknown>,
          recorded_at: recorded_at.toISOString(),
        })),
        next_after_seq: rows.at(-1)?.seq ?? after,
      };
    },
  );

  const ofJob = {
    tags: ['jobs'],
    errors: ['job_not_found'] as const,
    params: jobId,
    querystring: z.object({
      limit: lenientInt(1, LIMITS.pageRows, LIMITS.pageRows),
      offset: lenientInt(0, MAX_OFFSET, 0),
    }),
  };
  const answer = <T extends z.ZodType>(item: T) => ({
    200: z
      .object({
        job_id: z.string(),
        executions: z.array(item),
        limit: z.int(),
        offset: z.int(),
        total: z.int().describe('Executions that the job planned.'),
      })
      .describe('A page of executions.'),
  });

  app.get(
    '/api/v1/jobs/:id/executions',
    {
      config: READ,
      schema: {
        ...ofJob,
        operationId: 'listJobExecutions',
        summary: 'Executions of a job in the order of its plan.',
        response: answer(executionItem),
      },
    },
    async (request) => {
      const job = await getJobState(pool, request.params.id, viewerOf(request.principal));
      if (job === undefined) throw new ApiError('job_not_found');
      const { limit, offset } = request.query;
      const executions = await jobExecutions(pool, job.id, 'executions', { limit, offset });
      return { job_id: job.id, executions, limit, offset, total: job.total };
    },
  );

  app.get(
    '/api/v1/jobs/:id/executions/all',
    {
      config: READ,
      schema: {
        ...ofJob,
        operationId: 'listAllJobExecutions',
        summary: 'The same with executions that were tried again by request, and how often each was tried.',
        response: answer(triedExecution),
      },
    },
    async (request) => {
      const job = await getJobState(pool, request.params.id, viewerOf(request.principal));
      if (job === undefined) throw new ApiError('job_not_found');
      const { limit, offset } = request.query;
      const executions = await allJobExecutions(pool, job.id, { limit, offset });
      return { job_id: job.id, executions, limit, offset, total: job.total };
    },
  );
}
