import { z } from 'zod';
import { CliError } from '../failure.ts';
import type { Answer } from './client.ts';

/** Error answers of the v1 surface; the older spellings too, because a proxy in between may be old. */
const serverError = z.looseObject({
  error: z.union([z.string(), z.looseObject({ message: z.string().optional() })]).optional(),
  error_code: z.string().optional(),
  code: z.string().optional(),
  message: z.string().optional(),
  request_id: z.string().optional(),
});

const NEXT: Record<string, string> = {
  signature_mismatch: 'was the file changed after signing? sign it again with `beacon sign`',
  'missing_field:signature': 'sign it first: `beacon sign FILE`',
  'missing_field:public_key': 'sign it first: `beacon sign FILE`',
  replay_detected: 'to submit it once more, sign it with --fresh and another --id',
  'trust_violation:unknown': 'ask the operator to add the key to the trust list',
};

/** What a status outside 2xx means for the one who asked. */
export function readError(answer: Answer, what: string): CliError {
  const body = parse(answer.bytes);
  const nested = typeof body.error === 'object' ? body.error.message : body.error;
  const serverCode = body.error_code ?? body.code;
  const said = nested ?? body.message;
  const text = said ?? `status ${answer.status}`;
  const named = serverCode === undefined || serverCode === text ? text : `${text} (${serverCode})`;
  if (answer.status >= 500) {
    const id = body.request_id ?? answer.headers.get('x-request-id') ?? undefined;
    return new CliError('server_failed', `${what}: the service failed: ${named}`, {
      next: id === undefined ? 'see `beacon logs --role api`' : `see \`beacon logs\` for request ${id}`,
      serverCode,
    });
  }
  const code = answer.status === 404 ? 'not_found' : 'refused';
  // Something else than Beacon, or a proxy before it.
  if (said === undefined && serverCode === undefined) {
    return new CliError(code, `${what} was answered with status ${answer.status} and no reason`, {
      next: 'is this address a Beacon API? `beacon config` shows it',
    });
  }
  const retryAfter = answer.headers.get('retry-after');
  const next =
    (serverCode === undefined ? undefined : NEXT[serverCode]) ??
    (answer.status === 429 && retryAfter !== null ? `try again in ${retryAfter} s` : undefined);
  return new CliError(code, code === 'not_found' ? named : `refused: ${named}`, { next, serverCode });
}

function parse(bytes: Uint8Array): z.infer<typeof serverError> {
  try {
    return serverError.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    // A proxy's HTML page, an empty body: the status has to say it all.
    return {};
  }
}
