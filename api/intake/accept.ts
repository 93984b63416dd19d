import { uuidv7 } from 'uuidv7';
import { expandPlan } from '../../domain/jobspec/expand.ts';
import type { Plan } from '../../domain/jobspec/plan.ts';
import { LIMITS } from '../../domain/limits.ts';
import { staleness } from '../../domain/signing/freshness.ts';
import type { BusinessEvents } from '../../observability/events.ts';
import { activeSpan } from '../../observability/tracing.ts';
import { SubmitError, type Submitter } from '../../store/submit.ts';
import type { Submitted } from '../../store/submit-statement.ts';
import { ApiError } from '../errors.ts';
import type { ApiSettings } from '../settings.ts';
import type { createBacklog } from './backlog.ts';
import { network, type FailureLimit } from './failure-limit.ts';
import { readSpec, refusing, verifyBody, type SpecFacts } from './read-spec.ts';
import type { CheckedBody, SpecVerifier } from './spec-verifier.ts';
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
 * signature over what was received (before any default is filled), plan, replay and storing in one statement. A small
 * body is read and verified on the event loop, a large one in a thread.
 */
export async function acceptJob(deps: IntakeDeps, request: IntakeRequest): Promise<Submitted> {
  const { raw } = request;
  const idempotencyKey = readIdempotencyKey(request.idempotencyKey);
  const full = deps.backlog.isFull();
  if (full !== false && (await full)) {
    throw new ApiError('backlog_full', { retryAfterS: BACKLOG_RETRY_AFTER_S });
  }

  const small = raw.length <= LIMITS.specVerifiedInlineBytes;
  const { facts, verified, plan } = await (small ? judge(deps, request) : judgeLarge(deps, request));
  const id = facts.id ?? `job-${uuidv7()}`;
  const span = activeSpan();
  const submitted = await deps.submitter
    .submit({
      id,
      idGiven: facts.id !== undefined,
      owner: facts.publicKey,
      form: verified.form,
      messageSha256: verified.messageSha256,
      requestSha256: verified.requestSha256,
      nonce: facts.nonce ?? null,
      idempotencyKey,
      raw,
      name: facts.name,
      plan,
      questions: facts.questions,
      visibility: facts.visibility,
      traceparent: span?.traceparent ?? null,
    })
    .catch((error: unknown) => {
      throw error instanceof SubmitError ? submitFailure(error) : error;
    });
  span?.set({ 'beacon.job.id': submitted.id, 'beacon.submit': submitted.kind });
  if (submitted.kind === 'accepted') {
    deps.events.jobAccepted({ jobId: id, executions: plan.executions.length, form: verified.form });
  }
  return submitted;
}

interface Judged extends CheckedBody {
  plan: Plan;
}

async function judge(deps: IntakeDeps, { raw, address }: IntakeRequest): Promise<Judged> {
  const { node, facts } = readSpec(raw);
  refuseBlocked(deps, address, facts.publicKey);
  try {
    admit(deps, facts);
    return { facts, verified: await verifyBody(raw, node), plan: planOf(deps, facts) };
  } catch (error) {
    if (isFailure(error)) deps.failureLimit.failed(address, facts.publicKey);
    throw error;
  }
}

/** Whatever is wrong with a large body counts against its address, because finding that out was work. */
async function judgeLarge(deps: IntakeDeps, { raw, address }: IntakeRequest): Promise<Judged> {
  let key: string | undefined;
  const refused = (error: unknown): void => {
    deps.failureLimit.failed(address, isFailure(error) ? key : undefined);
  };
  const checked = await deps.verifier.check({
    raw,
    network: network(address),
    begin: () => refuseBlocked(deps, address),
    admit(facts) {
      key = facts.publicKey;
      refuseBlocked(deps, address, key);
      admit(deps, facts);
    },
    refused,
  });
  try {
    return { ...checked, plan: planOf(deps, checked.facts) };
  } catch (error) {
    refused(error);
    throw error;
  }
}

function refuseBlocked({ failureLimit }: IntakeDeps, address: string, key?: string): void {
  const waitS = failureLimit.blocked(address, key);
  if (waitS !== undefined) throw new ApiError('rate_limit_exceeded', { retryAfterS: waitS });
}

/** Trust and time, where they are enforced. */
function admit({ settings: { trust }, trustList }: IntakeDeps, facts: SpecFacts): void {
  if (!trust.enforce) return;
  const verdict = trustList.evaluate(facts.publicKey, Date.now());
  if (verdict !== 'trusted') throw new ApiError(`trust_violation:${verdict}`);
  requireFresh(facts, trust);
}

/** A failure of trust or signature. */
function isFailure(error: unknown): boolean {
  return (
    error instanceof ApiError &&
    (error.code === 'signature_mismatch' || error.code.startsWith('trust_violation:'))
  );
}

function planOf({ settings }: IntakeDeps, facts: SpecFacts): Plan {
  return refusing(() => expandPlan(facts, settings.plan));
}

function readIdempotencyKey(key: string | undefined): string | null {
  if (key === undefined || key === '') return null;
  if (key.length <= LIMITS.idempotencyKeyBytes && IDEMPOTENCY_KEY.test(key)) return key;
  throw new ApiError('validation_error', {
    message: `Idempotency-Key must be at most ${LIMITS.idempotencyKeyBytes} printable ASCII characters`,
    details: { field: 'Idempotency-Key' },
  });
}

function requireFresh(facts: SpecFacts, { maxAgeMs, maxSkewMs }: ApiSettings['trust']): void {
  const { timestamp } = facts;
  if (!facts.hasMetadata) throw new ApiError('missing_field:metadata');
  if (timestamp === null) throw new ApiError('missing_field:timestamp');
  if (timestamp === false) throw new ApiError('invalid_field:timestamp');
  const reason = staleness(timestamp, Date.now(), { maxAgeMs, maxSkewMs });
  if (reason !== undefined) {
    throw new ApiError('timestamp_invalid', {
      message: `metadata.timestamp is not acceptable: ${reason}`,
      details: { field: 'metadata.timestamp', reason },
    });
  }
  if (facts.nonce === undefined) throw new ApiError('missing_field:nonce');
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
