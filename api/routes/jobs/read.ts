import { z } from 'zod';
import { JOB_STATE_ALIASES, JOB_STATES, type JobState } from '../../../domain/states.ts';
import { LIMITS } from '../../../domain/limits.ts';
import { getJob, getJobState, listJobEvents, listJobs } from '../../../store/job-reads.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';
import { executionItem, jobId, jobItem, lenientInt, problem, triedExecution } from '../../schemas.ts';
import type { RouteApp } from '../app-type.ts';
import { decodeCursor, encodeCursor } from '../cursor.ts';
import { allJobExecutions, jobExecutions } from '../executions/of-job.ts';
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

const jobEvent = z.object({
  seq: z.int(),
  type: z.string(),
  execution_id: z.string().nullable(),
  payload: z.looseObject({}),
  recorded_at: z.iso.datetime(),
});

export function registerJobReads(app: RouteApp, pool: Pool): void {
  app.get(
    '/api/v1/jobs',
    {
      config: READ,
      schema: {
        summary: 'List jobs, newest first.',
        tags: ['jobs'],
        querystring: z.object({
          limit: lenientInt(1, LIMITS.pageRows, DEFAULT_JOBS),
          cursor: z.string().max(512).optional().describe('`next_cursor` of the page before.'),
          status,
        }),
        response: {
          200: z.object({ jobs: z.array(jobItem), next_cursor: z.string().nullable() }),
          '4xx': problem,
        },
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
        summary: 'One job; with its executions when asked.',
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
          200: z.object({
            job: z.looseObject({}),
            status: z.string(),
            executions: z.array(executionItem).optional(),
          }),
          '4xx': problem,
        },
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
        summary: 'The signed spec, byte for byte as it was received.',
        tags: ['jobs'],
        params: jobId,
      },
    },
    async (request, reply) => {
      const row = await getJob(pool, request.params.id, viewerOf(request.principal));
      if (row === undefined) throw new ApiError('job_not_found');
      return reply.type('application/json; charset=utf-8').send(row.raw);
    },
  );

  app.get(
    '/api/v1/jobs/:id/events',
    {
      config: READ,
      schema: {
        summary: "A job's own events in order, without gaps.",
        tags: ['jobs'],
        params: jobId,
        querystring: z.object({
          after_seq: lenientInt(0, Number.MAX_SAFE_INTEGER, 0),
          limit: lenientInt(1, LIMITS.pageRows, DEFAULT_EVENTS),
        }),
        response: {
          200: z.object({ job_id: z.string(), events: z.array(jobEvent), next_after_seq: z.int() }),
          '4xx': problem,
        },
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
    params: jobId,
    querystring: z.object({
      limit: lenientInt(1, LIMITS.pageRows, LIMITS.pageRows),
      offset: lenientInt(0, MAX_OFFSET, 0),
    }),
  };
  const answer = <T extends z.ZodType>(item: T) => ({
    200: z.object({
      job_id: z.string(),
      executions: z.array(item),
      limit: z.int(),
      offset: z.int(),
      total: z.int().describe('Executions that the job planned.'),
    }),
    '4xx': problem,
  });

  app.get(
    '/api/v1/jobs/:id/executions',
    {
      config: READ,
      schema: {
        ...ofJob,
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
