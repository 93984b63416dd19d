import { CliError } from '../failure.ts';
import { jobAnswer } from './answers.ts';
import type { ApiClient } from './client.ts';

/** `job-001#2` or `job-001/2`; neither sign can stand in a job id. */
const NTH_OF_JOB = /^([^#/]+)[#/]([1-9]\d{0,8})$/;

/** What the API calls the execution that `name` names: the n-th of a job is looked up, an id or a number stays. */
export async function executionName(client: ApiClient, name: string): Promise<string> {
  const [, jobId, nth] = NTH_OF_JOB.exec(name) ?? [];
  if (jobId === undefined) return name;
  const index = Number(nth) - 1;
  const path = `/api/v1/jobs/${encodeURIComponent(jobId)}?include=executions&exec_limit=1&exec_offset=${index}`;
  const [execution] = (await client.json(path, jobAnswer)).executions ?? [];
  if (execution !== undefined && (execution.index ?? index) === index) return execution.id;
  throw new CliError('not_found', `job ${jobId} has no execution #${nth}: not found`, {
    next: `beacon job get ${jobId}`,
  });
}
