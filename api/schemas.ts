import { z } from 'zod';
import { ATTEMPT_STATES, EXECUTION_STATES, JOB_STATES } from '../domain/states.ts';
import { failure } from './openapi/documents.ts';

/** Shapes that several routes share; what comes in is checked by them, what goes out is described by them. */
const timeOrNull = z.iso.datetime().nullable();

export const problem = z
  .object({
    error: z.string().describe('For people.'),
    error_code: z.string().describe('The same as `code`.'),
    code: z.string().describe('Of a closed set.'),
    details: z
      .record(z.string(), z.unknown())
      .optional()
      .describe('What more there is to say: often the `field` that is at fault.'),
    request_id: z.string().describe('Stands in the log of the service too.'),
  })
  .meta({ id: 'Problem', description: 'Every error has this shape.' });

/** A whole number of a query, in digits: empty text, which JavaScript would read as 0, is none. */
export function wholeNumber(min: number, max: number) {
  const range = max === Number.MAX_SAFE_INTEGER ? `, ${min} or more` : ` from ${min} to ${max}`;
  const rule = `must be a whole number${range}`;
  return z
    .string()
    .regex(/^\d{1,16}$/, rule)
    .transform(Number)
    .pipe(z.int(rule).min(min, rule).max(max, rule))
    .meta({ type: 'integer', minimum: min, maximum: max });
}

/** A number of a query; what is no number in range counts as not given, as older clients expect. */
export function lenientInt(min: number, max: number, fallback: number) {
  return wholeNumber(min, max).optional().default(fallback).catch(fallback);
}

export const jobId = z.object({ id: z.string().describe('Job id.') });
export const executionId = z.object({ id: z.string().describe('Execution: its UUID or its number.') });

const job = {
  id: z.string(),
  status: z.enum(JOB_STATES),
  name: z.string().describe("The benchmark's."),
  visibility: z.enum(['public', 'private']),
  counts: z.object({ total: z.int(), open: z.int(), completed: z.int() }).describe('Of executions.'),
  created_at: z.iso.datetime().describe('When the job was accepted.'),
  started_at: timeOrNull,
  ended_at: timeOrNull,
};

export const jobItem = z.object(job).meta({ id: 'JobItem', description: 'A job as the list shows it.' });

export const jobView = z
  .looseObject({
    ...job,
    state: z.enum(JOB_STATES).describe('The same as `status`.'),
    jobspec_id: z.string().describe('The same as `id`.'),
    owner: z.string().describe('The public key that signed it.'),
    form: z.string().describe('The canonical form under which the signature held.'),
    result_version: z.int().describe('Rises when an ended job is amended.'),
    cancel_requested_at: timeOrNull,
    summary_cid: z.string().nullable().describe('Of the signed summary; null before the end.'),
    manifest_cid: z.string().nullable().describe('Of the list of its files; null before the end.'),
    directory_cid: z
      .string()
      .nullable()
      .describe('Of all its files as a directory; null until `links.directory` was asked for.'),
    links: z.object({
      self: z.string(),
      spec: z.string(),
      events: z.string(),
      executions: z.string(),
      bundle: z.string(),
      directory: z.string(),
    }),
  })
  .meta({ id: 'Job', description: 'The members of the spec, with these laid over them.' });

const execution = z.object({
  id: z.string().describe('UUID.'),
  number: z
    .int()
    .describe('For clients that want integers; it names the execution everywhere as the id does.'),
  job_id: z.string().nullable(),
  index: z.int().nullable().describe("Its place in the job's plan, from 0."),
  follows: z.string().nullable().describe('The execution that this one tries again by request.'),
  status: z.enum(EXECUTION_STATES),
  phase: z.string().nullable(),
  region: z.string().nullable().describe('What the job asked for.'),
  region_ran: z.string().nullable().describe('Where the deciding attempt was sent.'),
  region_claimed: z.string().nullable().describe('What the provider says.'),
  region_observed: z.string().nullable().describe('What was seen.'),
  backend: z.string().nullable(),
  provider_id: z.string().nullable(),
  model_id: z.string().nullable(),
  question_id: z.string().nullable(),
  question_index: z.int().nullable(),
  question: z.string().nullable(),
  attempt: z.int().describe('The last attempt; 0 before the first.'),
  created_at: z.iso.datetime(),
  started_at: timeOrNull,
  completed_at: timeOrNull.describe('When it ended, however it did.'),
  duration_ms: z.number().nullable().describe('Running time of the deciding attempt.'),
  has_receipt: z.boolean(),
  receipt_id: z.string().nullable().describe('The same as `ipfs_cid`.'),
  ipfs_cid: z.string().nullable().describe('Of the receipt.'),
  output: z
    .string()
    .nullable()
    .describe('The output as text when it is small and UTF-8; else read output_url.'),
  output_sha256: z.string().nullable(),
  output_url: z.string().nullable(),
  failure: failure.nullable().describe('Why it did not complete.'),
});
export const executionItem = execution.meta({ id: 'Execution' });
export type ExecutionItem = z.infer<typeof executionItem>;

export const attempt = z
  .object({
    attempt: z.int(),
    number: z.int(),
    status: z.enum(ATTEMPT_STATES),
    backend: z.string(),
    region: z.string().nullable(),
    budget_ms: z.number().describe('How long it may run.'),
    failure: failure.nullable(),
    created_at: z.iso.datetime(),
    ended_at: timeOrNull,
    duration_ms: z.number().nullable(),
  })
  .meta({ id: 'Attempt', description: 'One try of an execution at one place.' });

export const outputFile = z
  .object({
    name: z.string(),
    size: z.int(),
    mime: z.string().describe('As the program named it; it is served as a download of bytes.'),
    sha256: z.string(),
    cid: z.string().nullable().describe('As a UnixFS file, profile unixfs-v1-2025.'),
    url: z.string(),
  })
  .meta({ id: 'OutputFile' });

/** How often an execution was tried, in the words of older clients. */
export const triedExecution = execution
  .extend({
    retry_count: z.int().describe('Attempts after the first.'),
    max_retries: z.int().nullable().describe("The most that the job's plan allows, over all regions."),
    last_retry_at: timeOrNull,
    retry_history: z.array(attempt).describe('Every attempt that is not the last.'),
    original_error: z.string().nullable().describe('Why the first attempt that failed did so.'),
    system_prompt: z.null().describe('Always null: an execution has none apart from its input.'),
  })
  .meta({ id: 'TriedExecution' });
export type TriedExecution = z.infer<typeof triedExecution>;
