import type { Context } from '../context.ts';
import { jobAnswer, type ExecutionAnswer, type JobAnswer } from './answers.ts';
import { resolveApi, type ApiAddress } from './address.ts';
import { createClient, type ApiClient } from './client.ts';
import { operatorToken } from './operator-token.ts';
import { feedTicket, ownerSigner } from './owner.ts';

export interface Api {
  address: ApiAddress;
  client: ApiClient;
  /** Of the log that the address names; undefined for the one that grows. */
  logId: string | undefined;
  /** Of the operator, when this machine has it: private jobs are shown to him alone. */
  token: string | undefined;
  /** For the feed of a private job of this person's. */
  ticket: () => Promise<string | undefined>;
}

/** A log by its id: its files stand below this address, everything else at the service. */
const LOG_ADDRESS = /^(.*)\/logs\/([\w-]+)$/;

/** The API that this command line speaks to. */
export async function connect(context: Context): Promise<Api> {
  const address = await resolveApi(context);
  const token = await operatorToken(context, address.url);
  const sign = ownerSigner(context);
  const [, service = address.url, logId] = LOG_ADDRESS.exec(address.url) ?? [];
  const client = createClient(service, context.io.signal, { token, sign });
  return { address, client, logId, token, ticket: () => feedTicket(client, sign) };
}

/** The service's largest page. */
const PAGE = 200;

/** A job with all of its executions, in the order of its plan. */
export async function readJob(
  client: ApiClient,
  jobId: string,
): Promise<JobAnswer & { executions: ExecutionAnswer[] }> {
  const executions: ExecutionAnswer[] = [];
  for (;;) {
    const path = `/api/v1/jobs/${encodeURIComponent(jobId)}?include=executions&exec_limit=${PAGE}&exec_offset=${executions.length}`;
    const answer = await client.json(path, jobAnswer);
    const page = answer.executions ?? [];
    executions.push(...page);
    if (page.length < PAGE) return { ...answer, executions };
  }
}
