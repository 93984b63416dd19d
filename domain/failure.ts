/**
 * Why an execution or an attempt failed: one closed catalogue (spec: core §1). `retryable`: another try, perhaps
 * elsewhere, could succeed. `mendable`: an operator could help. `source`: who caused it.
 */
export type FailureSource = 'program' | 'provider' | 'backend' | 'operator' | 'beacon';

interface Class {
  retryable: boolean;
  mendable: boolean;
  source: FailureSource;
}
const program: Class = { retryable: false, mendable: false, source: 'program' };
const provider: Class = { retryable: true, mendable: false, source: 'provider' };
const backend: Class = { retryable: true, mendable: true, source: 'backend' };
/** The market has nobody for it: an operator may widen what is asked or paid. */
const market: Class = { retryable: true, mendable: true, source: 'provider' };
const setup: Class = { retryable: false, mendable: true, source: 'operator' };
const beacon: Class = { retryable: false, mendable: false, source: 'beacon' };

export const FAILURES = {
  exit_nonzero: program,
  no_output: program,
  output_too_large: program,
  output_invalid: program,
  /** Command, environment or resources that cannot be applied as written. */
  work_invalid: program,
  memory_limit: program,
  cpu_limit: program,
  pids_limit: program,
  file_link_refused: program,
  file_special_refused: program,
  file_name_refused: program,
  file_too_large: program,
  files_too_many: program,
  /** The attempt ran out of `provider_timeout`. */
  attempt_timeout: provider,
  /** All attempts together ran out of `timeout`. */
  execution_timeout: { retryable: false, mendable: false, source: 'provider' },
  provider_rejected: provider,
  provider_lost: provider,
  /** Nobody offers anything at all. */
  no_offers: market,
  /** There are offers, and every one that is right otherwise asks for more than the caps. */
  offers_too_expensive: market,
  /** There are offers, and rules dropped them: region, lists, score, cool-down. */
  offers_filtered_out: market,
  /** Providers were asked and none approved an agreement. */
  nobody_approved: market,
  /** The provider was not seen in the region, or was seen elsewhere; nothing of the job was sent to it. */
  region_not_observed: provider,
  /** What is left of `max_cost` does not hold the worst case of another attempt. */
  max_cost_exceeded: { retryable: false, mendable: false, source: 'program' },
  /** No command to run: the backend does not run an image's own. */
  no_command: program,
  /** The image lacks what the backend needs to run in it. */
  image_unsuitable: setup,
  /** The wallet does not hold what an attempt may cost. */
  funds_insufficient: setup,
  image_unavailable: setup,
  image_invalid: setup,
  program_not_listed: setup,
  sandbox_unavailable: setup,
  backend_unavailable: backend,
  backend_error: backend,
  /** The worker that ran the attempt went away; the attempt was fenced off. */
  attempt_lost: { retryable: true, mendable: false, source: 'beacon' },
  attempts_exhausted: beacon,
  cancelled: { retryable: false, mendable: false, source: 'operator' },
  deadline_exceeded: beacon,
  workflow_closed: beacon,
  internal: { retryable: true, mendable: true, source: 'beacon' },
} as const satisfies Record<string, Class>;

export type FailureCode = keyof typeof FAILURES;

export interface Failure {
  code: FailureCode;
  /** One line for people, at most 500 characters, no secrets. */
  message: string;
  retryable: boolean;
  mendable: boolean;
  source: FailureSource;
}

/** Builds a failure of the catalogue's class; `override` is for the rare case that knows better. */
export function failure(code: FailureCode, message: string, override: Partial<Class> = {}): Failure {
  return { code, message: message.slice(0, 500), ...FAILURES[code], ...override };
}
