import { z } from 'zod';

/** What the CLI reads of the API's answers. More may stand there; what stands here is checked. */
const text = z.string().nullish();
const number = z.number().nullish();

export const executionAnswer = z.looseObject({
  id: z.string(),
  number,
  index: number,
  job_id: text,
  status: z.string(),
  phase: text,
  region: text,
  model_id: text,
  question_id: text,
  question: text,
  question_index: number,
  provider_id: text,
  backend: text,
  attempt: number,
  created_at: text,
  started_at: text,
  completed_at: text,
  duration_ms: number,
  ipfs_cid: text,
  output: text,
  log_index: number,
  failure: z.looseObject({ code: z.string(), message: text }).nullish(),
});
export type ExecutionAnswer = z.infer<typeof executionAnswer>;

export const jobAnswer = z.looseObject({
  status: z.string(),
  job: z.looseObject({ id: z.string() }),
  executions: z.array(executionAnswer).optional(),
});
export type JobAnswer = z.infer<typeof jobAnswer>;

export const jobListAnswer = z.looseObject({
  jobs: z.array(
    z.looseObject({
      id: z.string(),
      status: z.string(),
      created_at: text,
      name: text,
      counts: z.looseObject({ total: z.number(), completed: z.number() }).nullish(),
    }),
  ),
  next_cursor: text,
});

export const submitAnswer = z.looseObject({
  id: z.string(),
  status: z.string().optional(),
  idempotent: z.boolean().optional(),
});

export const cancelAnswer = z.looseObject({
  job_id: z.string(),
  previous_status: z.string(),
  cancel_requested: z.boolean().optional(),
});

export const executionDetails = executionAnswer.extend({
  attempts: z
    .array(
      z.looseObject({
        attempt: z.number(),
        status: z.string(),
        backend: text,
        region: text,
        duration_ms: number,
        failure: z.looseObject({ code: z.string(), message: text }).nullish(),
      }),
    )
    .optional(),
  files: z.array(z.looseObject({ name: z.string(), size: z.number(), cid: text })).optional(),
  waits_for: z.looseObject({ code: z.string(), message: text, seen_at: text }).nullish(),
  receipt: z.looseObject({ isolation: text, image_executed: text, image_requested: text }).nullish(),
});

export const executionLogs = z.looseObject({
  status: z.string(),
  lines: z.array(
    z.looseObject({
      attempt: z.number(),
      seq: z.number(),
      time_us: z.number(),
      source: z.string(),
      line: z.string(),
    }),
  ),
  next_after: z.string(),
  ended: z.boolean(),
});
