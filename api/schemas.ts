import { z } from 'zod';

/** Shapes that several routes share; what comes in is checked by them, what goes out is described by them. */
const timeOrNull = z.iso.datetime().nullable();

export const problem = z.object({
  error: z.string(),
  error_code: z.string(),
  code: z.string(),
  details: z.record(z.string(), z.unknown()).optional(),
  request_id: z.string(),
});

/** A whole number of a query, in digits: empty text, which JavaScript would read as 0, is none. */
export function wholeNumber(min: number, max: number) {
  return z
    .string()
    .regex(/^\d{1,16}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(min).max(max))
    .meta({ type: 'integer', minimum: min, maximum: max });
}

/** A number of a query; what is no number in range counts as not given, as older clients expect. */
export function lenientInt(min: number, max: number, fallback: number) {
  return wholeNumber(min, max).optional().default(fallback).catch(fallback);
}

export const jobId = z.object({ id: z.string().describe('Job id.') });
export const executionId = z.object({ id: z.string().describe('Execution: its UUID or its number.') });

export const jobItem = z.object({
  id: z.string(),
  status: z.string(),
  name: z.string(),
  visibility: z.enum(['public', 'private']),
  counts: z.object({ total: z.int(), open: z.int(), completed: z.int() }),
  created_at: z.iso.datetime(),
  started_at: timeOrNull,
  ended_at: timeOrNull,
});

export const executionItem = z.object({
  id: z.string(),
  number: z.int(),
  job_id: z.string().nullable(),
  index: z.int().nullable(),
  follows: z.string().nullable(),
  status: z.string(),
  phase: z.string().nullable(),
  region: z.string().nullable(),
  region_ran: z.string().nullable(),
  region_claimed: z.string().nullable(),
  region_observed: z.string().nullable(),
  backend: z.string().nullable(),
  provider_id: z.string().nullable(),
  model_id: z.string().nullable(),
  question_id: z.string().nullable(),
  question_index: z.int().nullable(),
  question: z.string().nullable(),
  attempt: z.int(),
  created_at: z.iso.datetime(),
  started_at: timeOrNull,
  completed_at: timeOrNull,
  duration_ms: z.number().nullable(),
  has_receipt: z.boolean(),
  receipt_id: z.string().nullable(),
  ipfs_cid: z.string().nullable(),
  output: z
    .string()
    .nullable()
    .describe('The output as text when it is small and UTF-8; else read output_url.'),
  output_sha256: z.string().nullable(),
  output_url: z.string().nullable(),
  failure: z.unknown().nullable(),
});
export type ExecutionItem = z.infer<typeof executionItem>;

/** How often an execution was tried, in the words of older clients. */
export const triedExecution = executionItem.extend({
  retry_count: z.int().describe('Attempts after the first.'),
  max_retries: z.int().nullable().describe("The most that the job's plan allows, over all regions."),
  last_retry_at: timeOrNull,
  retry_history: z.array(z.looseObject({})).describe('Every attempt that is not the last.'),
  original_error: z.string().nullable().describe('Why the first attempt that failed did so.'),
  system_prompt: z.null(),
});
export type TriedExecution = z.infer<typeof triedExecution>;
