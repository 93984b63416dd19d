import { randomBytes } from 'node:crypto';
import { signRequest } from '../../domain/signing/request.ts';
import type { Context } from '../context.ts';
import { cancelAnswer } from '../http/answers.ts';
import { connect } from '../http/api.ts';
import { bearer, type Request } from '../http/client.ts';
import { readKeyFile } from '../keys/key-file.ts';
import { signingKeyPath } from '../keys/key-path.ts';
import { printable } from '../text/printable.ts';

const NONCE_BYTES = 16;

/**
 * `beacon job cancel`: as the operator when this machine's stack is the one that is asked, else signed by the job's
 * key. `--key` always means the key.
 */
export async function cancelJob(context: Context, id: string, options: { key?: string }): Promise<undefined> {
  const api = await connect(context);
  const token = options.key === undefined ? api.token : undefined;
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
  return { headers: bearer(token), body: Buffer.from('{}') };
}

async function signed(context: Context, jobId: string, option: string | undefined): Promise<Request> {
  const key = await readKeyFile(signingKeyPath(context.io, option));
  const nonce = randomBytes(NONCE_BYTES).toString('base64url');
  const request = { action: 'cancel' as const, job_id: jobId, timestamp: new Date().toISOString(), nonce };
  return { body: Buffer.from(JSON.stringify(signRequest(request, key))) };
}
