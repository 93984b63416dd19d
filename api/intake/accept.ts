import { createHash } from 'node:crypto';
import { uuidv7 } from 'uuidv7';
import { expandPlan } from '../../domain/jobspec/expand.ts';
import { JobSpecError } from '../../domain/jobspec/error.ts';
import { parseJobSpec, type JobSpec } from '../../domain/jobspec/spec.ts';
import { JsonError } from '../../domain/json/error.ts';
import { isJsonObject, type JsonNode } from '../../domain/json/node.ts';
import { parseStrictJson } from '../../domain/json/parse.ts';
import { LIMITS } from '../../domain/limits.ts';
import { SigningError } from '../../domain/signing/error.ts';
import { staleness } from '../../domain/signing/freshness.ts';
import { decodePublicKey } from '../../domain/signing/public-key.ts';
import type { BusinessEvents } from '../../observability/events.ts';
import { SubmitError, type Submitter } from '../../store/submit.ts';
import type { Submitted } from '../../store/submit-statement.ts';
import { ApiError } from '../errors.ts';
import { invalidJson } from '../plugins/body.ts';
import type { ApiSettings } from '../settings.ts';
import type { createBacklog } from './backlog.ts';
import type { FailureLimit } from './failure-limit.ts';
import type { SpecVerifier } from './spec-verifier.ts';
import type { TrustList } from './trusted-keys.ts';

export interface IntakeDeps {
  settings: Pick<ApiSettings, 'trust' | 'plan'>;
  trustList: TrustList;
  failureLimit: FailureLimit;
  verifier: SpecVerifier;
  backlog: ReturnType<typeof createBacklog>;
  submitter: Pick<Submitter, 'submit'>;
  events: Pick<BusinessEvents, 'jobAccepted'>;
}

interface IntakeRequest {
  /** The body as received. */
  raw: Buffer;
  /** Address of the client. */
  address: string;
  idempotencyKey: string | undefined;
}

const BACKLOG_RETRY_AFTER_S = 30;
const QUEUE_RETRY_AFTER_S = 1;
/** Printable ASCII, which is what a header can carry unharmed. */
const IDEMPOTENCY_KEY = /^[\x20-\x7e]+$/;

/**
 * Takes a signed job in, in the order of checks of docs/architecture.md: form of the text, shape, trust and time, the
 * signature over what was received (before any default is filled), plan, replay and storing in one statement.
 */
export async function acceptJob(deps: IntakeDeps, request: IntakeRequest): Promise<Submitted> {
  const { trust } = deps.settings;
  const idempotencyKey = readIdempotencyKey(request.idempotencyKey);
  const node = parseBody(request.raw);
  const spec = refusing(() => parseJobSpec(node));
  const publicKey = refusing(() => requireKey(node));

  if (await deps.backlog.isFull()) throw new ApiError('backlog_full', { retryAfterS: BACKLOG_RETRY_AFTER_S });
  const waitS = deps.failureLimit.blocked(request.address, publicKey);
  if (waitS !== undefined) throw new ApiError('rate_limit_exceeded', { retryAfterS: waitS });
  const failed = (error: unknown): never => {
    deps.failureLimit.failed(request.address, publicKey);
    throw error;
  };
  if (trust.enforce) {
    const verdict = deps.trustList.evaluate(publicKey, Date.now());
    if (verdict !== 'trusted') failed(new ApiError(`trust_violation:${verdict}`));
    requireFresh(node, spec, trust);
  }

  const verified = await deps.verifier.verify(request.raw, node).catch((error: unknown) => {
    if (!(error instanceof SigningError)) throw error;
    const answer = toApiError(error);
    return error.code === 'signature_mismatch' ? failed(answer) : raise(answer);
  });

  const plan = refusing(() => expandPlan(spec, deps.settings.plan));
  const id = spec.id ?? `job-${uuidv7()}`;
  const submitted = await deps.submitter
    .submit({
      id,
      idGiven: spec.id !== undefined,
      owner: publicKey,
      form: verified.form,
      messageSha256: sha256(verified.message),
      requestSha256: sha256(request.raw),
      nonce: spec.nonce ?? null,
      idempotencyKey,
      raw: request.raw,
      name: spec.benchmark.name,
      plan,
      questions: spec.questions,
      visibility: spec.visibility,
    })
    .catch((error: unknown) => raise(error instanceof SubmitError ? submitFailure(error) : error));
  if (submitted.kind === 'accepted') {
    deps.events.jobAccepted({ jobId: id, executions: plan.executions.length, form: verified.form });
  }
  return submitted;
}

function readIdempotencyKey(key: string | undefined): string | null {
  if (key === undefined || key === '') return null;
  if (key.length <= LIMITS.idempotencyKeyBytes && IDEMPOTENCY_KEY.test(key)) return key;
  throw new ApiError('validation_error', {
    message: `Idempotency-Key must be at most ${LIMITS.idempotencyKeyBytes} printable ASCII characters`,
    details: { field: 'Idempotency-Key' },
  });
}

function parseBody(raw: Buffer): JsonNode {
  if (raw.length === 0) throw new ApiError('invalid_body');
  try {
    return parseStrictJson(raw);
  } catch (error) {
    throw error instanceof JsonError ? invalidJson(error) : error;
  }
}

/** Signature and key are there, and the key is one. */
function requireKey(node: JsonNode): string {
  const read = (field: 'signature' | 'public_key'): string => {
    const value = isJsonObject(node) ? node.get(field) : undefined;
    if (typeof value === 'string' && value !== '') return value;
    throw new SigningError(`missing_field:${field}`, `${field} is required`, { field });
  };
  read('signature');
  const publicKey = read('public_key');
  decodePublicKey(publicKey);
  return publicKey;
}

function requireFresh(node: JsonNode, spec: JobSpec, { maxAgeMs, maxSkewMs }: ApiSettings['trust']): void {
  if (!isJsonObject(node) || !isJsonObject(node.get('metadata')))
    throw new ApiError('missing_field:metadata');
  const { timestamp } = spec.metadata;
  if (timestamp === undefined || timestamp === null || timestamp === '')
    throw new ApiError('missing_field:timestamp');
  if (typeof timestamp !== 'string') throw new ApiError('invalid_field:timestamp');
  const reason = staleness(timestamp, Date.now(), { maxAgeMs, maxSkewMs });
  if (reason !== undefined) {
    throw new ApiError('timestamp_invalid', {
      message: `metadata.timestamp is not acceptable: ${reason}`,
      details: { field: 'metadata.timestamp', reason },
    });
  }
  if (spec.nonce === undefined) throw new ApiError('missing_field:nonce');
}

function submitFailure(cause: SubmitError): ApiError {
  switch (cause.code) {
    case 'queue_full':
      return new ApiError('intake_busy', { retryAfterS: QUEUE_RETRY_AFTER_S, cause });
    case 'store_unavailable':
      return new ApiError('persistence_unavailable', { cause });
    case 'replay_check_unavailable':
      return new ApiError('protection_unavailable:replay', { cause });
    case 'closed':
      return new ApiError('unavailable', { cause });
    case 'row_refused':
      return new ApiError('internal_error', { cause });
  }
}

/** Runs a check of the spec; what it refuses becomes an answer that names the field. */
function refusing<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw toApiError(error);
  }
}

function toApiError(error: unknown): unknown {
  if (error instanceof JobSpecError) {
    return new ApiError('validation_error', { message: error.message, details: { field: error.field } });
  }
  if (error instanceof SigningError) {
    return new ApiError(error.code, { message: error.message, details: { ...error.details } });
  }
  return error;
}

function raise(error: unknown): never {
  throw error;
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
