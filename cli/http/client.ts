import { setTimeout as delay } from 'node:timers/promises';
import type { ZodType } from 'zod';
import { CliError, codeOf, reasonOf } from '../failure.ts';
import { readBounded } from '../../attestation/bounded-body.ts';
import { readError } from './server-error.ts';

/** Reads are answered in milliseconds; this is for a machine that swaps. */
const GET_TIMEOUT_MS = 15_000;
/** A submit verifies a signature and commits. */
const POST_TIMEOUT_MS = 30_000;
/** A page of 200 executions with outputs stays well below. */
const JSON_BYTES = 16 * 1024 * 1024;
const GET_TRIES = 3;
const RETRY_BASE_MS = 150;

export interface Answer {
  status: number;
  headers: Headers;
  bytes: Uint8Array;
}

export interface Request {
  method?: 'GET' | 'POST';
  headers?: Record<string, string>;
  body?: Uint8Array;
  /** Bodies above this are refused; default 16 MiB. */
  maxBytes?: number;
  /** Signed at once where there is a key: a list shows the owner more than others, and others no less. */
  asOwner?: boolean;
  /** Statuses besides 2xx that the caller wants to see. */
  accept?: readonly number[];
}

/** The header with which the owner of private jobs asks; undefined where this person has no key. */
export type ReadSigner = (
  method: 'GET' | 'POST',
  path: string,
) => Promise<Record<string, string> | undefined>;

export interface ApiClient {
  readonly base: string;
  /** Something was only to be had as its owner: what is asked next is signed at once. */
  readonly isOwner: boolean;
  request(path: string, request?: Request): Promise<Answer>;
  /** A JSON answer, checked. */
  json<T>(path: string, schema: ZodType<T>, request?: Request): Promise<T>;
}

/**
 * A client of one Beacon API. Only GETs are repeated, and only when no answer came; only they carry `token`: whether a
 * change is asked for by the operator is said where it is asked for. Without a token, what the service does not know is
 * asked for once more with `sign`: a private job is unknown to everybody but its owner.
 */
export function createClient(
  base: string,
  signal: AbortSignal,
  { token, sign }: { token?: string | undefined; sign?: ReadSigner | undefined } = {},
): ApiClient {
  let isOwner = false;
  const request = async (path: string, given: Request = {}): Promise<Answer> => {
    const { method = 'GET', accept = [] } = given;
    const signer = method === 'GET' && token === undefined ? sign : undefined;
    let signs = isOwner || given.asOwner === true;
    const tries = method === 'GET' ? GET_TRIES : 1;
    for (let attempt = 1; ; attempt += 1) {
      try {
        // Signed anew for each try: a nonce is good once.
        const own = signs ? await signer?.(method, path) : undefined;
        const headers = { ...(method === 'GET' ? bearer(token) : {}), ...own, ...given.headers };
        const answer = await once(base + path, { ...given, headers }, signal);
        const isFound = answer.status >= 200 && answer.status < 300;
        if (isFound && own !== undefined && given.asOwner !== true) isOwner = true;
        if (!signs && isUnknown(answer) && (await signer?.(method, path)) !== undefined) {
          signs = true;
          attempt -= 1;
          continue;
        }
        if (isFound || accept.includes(answer.status)) return answer;
        throw readError(answer, `${method} ${path}`);
      } catch (thrown) {
        if (signal.aborted) throw new CliError('interrupted', 'interrupted', { cause: thrown });
        if (thrown instanceof CliError) throw thrown;
        if (attempt >= tries || isTimeout(thrown)) throw unreachable(base, thrown);
      }
      await delay(RETRY_BASE_MS * 2 ** (attempt - 1) * (0.5 + Math.random()), undefined, { signal });
    }
  };
  return {
    base,
    get isOwner() {
      return isOwner;
    },
    request,
    async json(path, schema, options) {
      const { bytes } = await request(path, options);
      let value: unknown;
      try {
        value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
      } catch (cause) {
        throw new CliError('answer_not_understood', `${base}${path} did not answer JSON`, {
          next: 'is this address a Beacon API?',
          cause,
        });
      }
      const checked = schema.safeParse(value);
      if (checked.success) return checked.data;
      const [issue] = checked.error.issues;
      const where = issue === undefined ? '' : ` (${issue.path.join('.')}: ${issue.message})`;
      throw new CliError('answer_not_understood', `${base}${path} answered something unexpected${where}`, {
        next: 'are client and service of the same version?',
        cause: checked.error,
      });
    },
  };
}

/** So the service answers for what is not there, and for what is private. */
function isUnknown(answer: Answer): boolean {
  return answer.status === 404 && readError(answer, '').serverCode?.endsWith('_not_found') === true;
}

/** The header that says who asks; none without a token. */
export function bearer(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

async function once(url: string, request: Request, signal: AbortSignal): Promise<Answer> {
  const { method = 'GET', headers = {}, body, maxBytes = JSON_BYTES } = request;
  const timeout = AbortSignal.timeout(method === 'GET' ? GET_TIMEOUT_MS : POST_TIMEOUT_MS);
  const tooLarge = (): Error =>
    new CliError('answer_not_understood', `the answer is larger than ${maxBytes} bytes`);
  const response = await fetch(url, {
    method,
    redirect: 'error',
    headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
    signal: AbortSignal.any([signal, timeout]),
    ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
  });
  return {
    status: response.status,
    headers: response.headers,
    bytes: await readBounded(response, maxBytes, tooLarge),
  };
}

const isTimeout = (thrown: unknown): boolean => thrown instanceof Error && thrown.name === 'TimeoutError';

function unreachable(base: string, thrown: unknown): CliError {
  const cause = thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown;
  if (isTimeout(thrown)) {
    return new CliError('timed_out', `the API at ${base} did not answer in time`, {
      next: '`beacon status` tells which part is slow',
      cause: thrown,
    });
  }
  const why = codeOf(cause) === 'ECONNREFUSED' ? 'nothing listens there' : reasonOf(cause);
  return new CliError('unreachable', `cannot reach the API at ${base}: ${why}`, {
    next: 'start one with `beacon up`, or name another with --api URL',
    cause: thrown,
  });
}
