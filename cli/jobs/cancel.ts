import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { signRequest } from '../../domain/signing/request.ts';
import type { Context } from '../context.ts';
import { CliError } from '../failure.ts';
import { cancelAnswer } from '../http/answers.ts';
import { connect, type Api } from '../http/api.ts';
import type { Request } from '../http/client.ts';
import { readKeyFile } from '../keys/key-file.ts';
import { signingKeyPath } from '../keys/key-path.ts';
import { operatorTokenFile, readStackFile } from '../stack/stack-file.ts';
import { printable } from '../text/printable.ts';

const NONCE_BYTES = 16;

/**
 * `beacon job cancel`: as the operator when this machine's stack is the one that is asked, else signed by the job's
 * key. `--key` always means the key.
 */
export async function cancelJob(context: Context, id: string, options: { key?: string }): Promise<undefined> {
  const api = await connect(context);
  const token = options.key === undefined ? await operatorToken(context, api) : undefined;
  const request = token === undefined ? await signed(context, id, options.key) : byOperator(token);
  const path = `/api/v1/jobs/${encodeURIComponent(id)}/cancel`;
  const answer = await api.client.json(path, cancelAnswer, { method: 'POST', ...request });
  if (context.json) {
    context.document(answer);
    return;
  }
  const name = printable(answer.job_id);
  if (answer.cancel_requested === true) {
    context.line(`job ${name} (${printable(answer.previous_status)}) is asked to end`);
    context.note(`what has succeeded stays; see it end: beacon job watch ${name}`);
  } else context.line(`job ${name} had ended before: ${printable(answer.previous_status)}`);
}

function byOperator(token: string): Request {
  return { headers: { authorization: `Bearer ${token}` }, body: Buffer.from('{}') };
}

async function signed(context: Context, jobId: string, option: string | undefined): Promise<Request> {
  const key = await readKeyFile(signingKeyPath(context.io, option));
  const nonce = randomBytes(NONCE_BYTES).toString('base64url');
  const request = { action: 'cancel' as const, job_id: jobId, timestamp: new Date().toISOString(), nonce };
  return { body: Buffer.from(JSON.stringify(signRequest(request, key))) };
}

/** The token of this machine's own stack, and only for that stack's address: it goes to nobody else. */
async function operatorToken(context: Context, { address }: Api): Promise<string | undefined> {
  const fromEnvironment = context.io.env.BEACON_OPERATOR_TOKEN ?? '';
  if (fromEnvironment !== '') return fromEnvironment;
  const stack = await readStackFile(context.stateDir);
  if (stack === undefined || new URL(stack.apiUrl).origin !== new URL(address.url).origin) return undefined;
  try {
    return (await readFile(operatorTokenFile(context.stateDir), 'utf8')).trim();
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    return undefined;
  }
}
