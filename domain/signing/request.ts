import type { Verifiers } from '../crypto.ts';
import { toBase64, utf8 } from '../encoding.ts';
import { canonicalJson } from '../json/jcs.ts';
import { LIMITS } from '../limits.ts';
import { SigningError } from './error.ts';
import { staleness, type FreshnessWindow } from './freshness.ts';
import { decodePublicKey, decodeSignature } from './public-key.ts';
import type { SpecSigner } from './sign.ts';

/** What a job's key may ask about its job after submitting it (spec: core §8). */
export type RequestAction = 'cancel' | 'retry';

export interface JobRequest {
  action: RequestAction;
  job_id: string;
  execution_id?: string;
  /** RFC 3339. */
  timestamp: string;
  /** At most 256 bytes; good once per key. */
  nonce: string;
}

export interface SignedJobRequest extends JobRequest {
  signature: string;
  public_key: string;
}

/** A signed request is good this long before and after the time that it names. */
const REQUEST_WINDOW: FreshnessWindow = { maxSkewMs: 5 * 60_000, maxAgeMs: 5 * 60_000 };

const MAX_ID_LENGTH = 128;

/** The signed bytes: RFC 8785 over exactly these members. Each request's other members are not looked at. */
export function requestMessage(request: JobRequest): Uint8Array {
  const { action, job_id, execution_id, timestamp, nonce } = request;
  return utf8(canonicalJson({ action, job_id, execution_id, timestamp, nonce }));
}

export function signRequest(request: JobRequest, signer: SpecSigner): SignedJobRequest {
  const signature = toBase64(signer.sign(requestMessage(request)));
  return { ...request, signature, public_key: toBase64(signer.publicKey) };
}

/** What the request must be about, known from the route and the stored job. */
export interface ExpectedRequest {
  action: RequestAction;
  jobId: string;
  executionId?: string;
  /** The job's key, base64. */
  publicKey: string;
}

/**
 * Checks a request of unknown shape: fields, subject, freshness at `nowMs`, signature by the job's key. Whether the
 * nonce was seen before is the caller's to ask, after this. Throws SigningError.
 */
export function verifyRequest(
  body: unknown,
  expected: ExpectedRequest,
  nowMs: number,
  verifyEd25519: Verifiers['verifyEd25519'],
): JobRequest {
  const fields = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  const signature = decodeSignature(requireText(fields, 'signature'));
  const publicKey = requireText(fields, 'public_key');
  const timestamp = requireText(fields, 'timestamp');
  const nonce = requireText(fields, 'nonce');
  if (utf8(nonce).length > LIMITS.nonceBytes)
    throw invalid('nonce', `must be at most ${LIMITS.nonceBytes} bytes`);
  matches(fields, 'action', expected.action);
  matches(fields, 'job_id', expected.jobId);
  matches(fields, 'execution_id', expected.executionId);
  const stale = staleness(timestamp, nowMs, REQUEST_WINDOW);
  if (stale !== undefined) {
    throw new SigningError('timestamp_invalid', `timestamp is not within five minutes of now: ${stale}`, {
      field: 'timestamp',
      reason: stale,
    });
  }
  const request: JobRequest = { action: expected.action, job_id: expected.jobId, timestamp, nonce };
  if (expected.executionId !== undefined) request.execution_id = expected.executionId;
  const keyBytes = decodePublicKey(publicKey);
  if (publicKey !== expected.publicKey || !verifyEd25519(keyBytes, requestMessage(request), signature)) {
    throw new SigningError('signature_mismatch', "the request is not signed by the job's key");
  }
  return request;
}

function requireText(
  fields: Record<string, unknown>,
  field: 'signature' | 'public_key' | 'timestamp' | 'nonce',
): string {
  const value = Object.hasOwn(fields, field) ? fields[field] : undefined;
  if (value === undefined || value === null || value === '') {
    throw new SigningError(`missing_field:${field}`, `${field} is required`, { field });
  }
  if (typeof value !== 'string') throw invalid(field, 'must be a string');
  if (!value.isWellFormed()) throw invalid(field, 'must be well-formed Unicode');
  return value;
}

function matches(fields: Record<string, unknown>, field: string, wanted: string | undefined): void {
  const value = Object.hasOwn(fields, field) ? fields[field] : undefined;
  if (value === wanted || (wanted === undefined && value === null)) return;
  const shown = typeof value === 'string' ? JSON.stringify(value.slice(0, MAX_ID_LENGTH)) : typeof value;
  throw invalid(field, `is ${shown}, this request is about ${wanted ?? 'the whole job'}`);
}

function invalid(field: string, what: string): SigningError {
  return new SigningError('validation_error', `${field} ${what}`, { field });
}
