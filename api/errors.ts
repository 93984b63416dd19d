/**
 * Every way in which this API says no: code, status and the text that people read. One catalogue (spec: core §8); the
 * codes and texts that older clients know are kept (docs/api.md). `details` may say more, an inside message never does.
 */
export const ERRORS = {
  // The request as such
  invalid_content_type: [400, 'the content type must be application/json'],
  invalid_body: [400, 'the request has no body'],
  invalid_json: [400, 'the body is not valid JSON'],
  validation_error: [400, 'the request is not valid'],
  invalid_cursor: [400, 'the cursor is not one of ours'],
  invalid_execution_id: [400, 'invalid execution ID: a UUID or a number is expected'],
  unsupported_content_encoding: [415, 'the body must come as it is, without Content-Encoding'],
  body_too_large: [413, 'the body is larger than this path takes'],
  bad_request: [400, 'the request is not valid HTTP'],
  request_timeout: [408, 'the request took too long to arrive'],
  headers_too_large: [431, 'the headers are too large'],
  host_not_allowed: [403, 'this Host is not served here; add its name to ALLOWED_HOSTS'],
  origin_not_allowed: [403, 'this Origin may not call the API; add it to CORS_ORIGINS'],
  not_found: [404, 'no such path; /docs lists those there are'],
  upgrade_required: [426, 'this path is a WebSocket: connect with Upgrade: websocket'],

  // Submitting a job
  'missing_field:signature': [400, 'signature is required'],
  'missing_field:public_key': [400, 'public_key is required'],
  'missing_field:metadata': [400, 'metadata is required'],
  'missing_field:timestamp': [400, 'metadata.timestamp is required'],
  'missing_field:nonce': [400, 'metadata.nonce is required'],
  'invalid_field:timestamp': [400, 'metadata.timestamp must be a string'],
  'invalid_encoding:public_key': [400, 'public_key must be 32 bytes in standard base64'],
  canonicalization_error: [400, 'no canonical form can be made of this body'],
  signature_mismatch: [400, 'signature verification failed'],
  timestamp_invalid: [400, 'metadata.timestamp is not acceptable'],
  'trust_violation:unknown': [400, 'untrusted signing key: unknown key'],
  'trust_violation:revoked': [400, 'trusted key revoked'],
  'trust_violation:expired': [400, 'trusted key expired'],
  'trust_violation:not_yet_valid': [400, 'trusted key not yet valid'],
  replay_detected: [400, 'replay detected'],
  id_taken: [409, 'this job id is taken by another key or content'],
  idempotency_key_reused: [409, 'this Idempotency-Key was used with another body'],
  rate_limit_exceeded: [429, 'rate limit exceeded'],
  intake_busy: [429, 'too many submits wait; try again'],
  verification_timeout: [503, 'the signature could not be checked in time; try again'],
  backlog_full: [429, 'too many jobs wait for their start; try again later'],
  'protection_unavailable:replay': [503, 'replay protection unavailable'],
  persistence_unavailable: [503, 'persistence unavailable'],

  // Who may
  unauthorized: [401, "this needs a request signed by the job's key or an operator token"],
  invalid_auth_format: [401, 'the Authorization header must be "Bearer <token>"'],
  admin_auth_not_configured: [503, 'no operator token is configured'],
  invalid_token: [403, 'this operator token is not valid'],
  forbidden: [403, 'this key may not change this job'],
  invalid_signed_request: [401, 'the signed request is not valid'],
  invalid_ticket: [401, 'this ticket is unknown, used or too old; ask for another one'],

  breaker_not_found: [404, 'no circuit breaker of this name is known'],
  probe_not_expected: [404, 'no such nonce is expected, or it was used'],

  // Reading
  job_not_found: [404, 'job not found'],
  execution_not_found: [404, 'execution not found'],
  erased: [410, 'this was erased; the bundle of the execution proves it'],
  receipt_not_found: [404, 'execution or receipt not found'],
  file_not_found: [404, 'file not found'],
  bundle_not_found: [404, 'bundle not found'],
  bundle_not_ready: [404, 'there is no bundle before the end; try again'],
  bundles_busy: [503, 'too many bundles are being made; try again'],
  proof_not_found: [404, 'proof not found'],
  not_yet_logged: [404, 'the entry is not in the log yet; try again'],
  cid_is_bundle: [404, 'this CID is a bundle; ask for the proofs of its receipts'],
  proof_subject_missing: [400, 'index, execution_id or ipfs_cid is required'],
  proof_subjects_disagree: [409, 'index, execution_id and ipfs_cid name different entries'],
  block_damaged: [500, 'the stored bytes are not those that this address names; they are not served'],
  range_not_satisfiable: [416, 'the range lies outside of the file'],
  ipfs_request_invalid: [400, 'this CID or one of the parameters is not valid'],
  ipfs_format_missing: [
    400,
    'ask for format=raw or format=car; files as they are have /api/v1/transparency/bundles/{cid}',
  ],
  ipfs_format_unsupported: [
    406,
    'only format=raw and format=car are served here; files as they are have /api/v1/transparency/bundles/{cid}',
  ],
  ipfs_not_found: [404, 'this CID or path is not here'],
  ipfs_not_cached: [412, 'this CID is not here, and nothing is fetched from elsewhere'],
  log_not_found: [404, 'this server has no transparency log yet'],
  tile_not_found: [404, 'no such tile at this size of the log'],
  checkpoint_not_found: [
    404,
    'no checkpoint of this size is kept; /api/v1/transparency/checkpoints lists those there are',
  ],
  size_beyond_log: [404, 'the log does not hold so many entries yet'],
  log_damaged: [500, 'the log is damaged at what was asked for; nothing of it is served'],

  internal_error: [500, 'internal error'],
  unavailable: [503, 'the service is not available'],
} as const satisfies Record<string, readonly [number, string]>;

export type ErrorCode = keyof typeof ERRORS;

/** What is not there may be there in a moment: no cache may keep such an answer (`Cache-Control: no-store`). */
export const MAY_COME: ReadonlySet<ErrorCode> = new Set([
  'tile_not_found',
  'checkpoint_not_found',
  'size_beyond_log',
  'log_not_found',
  'not_yet_logged',
  'proof_not_found',
  'ipfs_not_found',
  'ipfs_not_cached',
]);

interface ErrorExtras {
  /** Replaces the catalogue's text where more can be said; never an inside message. */
  message?: string;
  details?: Record<string, unknown>;
  /** Whole seconds. */
  retryAfterS?: number;
  cause?: unknown;
}

/** An answer that is an error; the error handler writes it in the shape of the surface. */
export class ApiError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly details: Record<string, unknown> | undefined;
  readonly retryAfterS: number | undefined;

  constructor(code: ErrorCode, { message, details, retryAfterS, cause }: ErrorExtras = {}) {
    super(message ?? ERRORS[code][1], cause === undefined ? {} : { cause });
    this.name = 'ApiError';
    this.code = code;
    this.status = ERRORS[code][0];
    this.details = details;
    this.retryAfterS = retryAfterS;
  }
}

interface ErrorBody {
  error: string;
  error_code: ErrorCode;
  code: ErrorCode;
  details?: Record<string, unknown>;
  request_id: string;
}

export function errorBody(error: ApiError, requestId: string): ErrorBody {
  return {
    error: error.message,
    error_code: error.code,
    code: error.code,
    ...(error.details === undefined ? {} : { details: error.details }),
    request_id: requestId,
  };
}
