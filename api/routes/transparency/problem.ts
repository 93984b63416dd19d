import { LogServiceError } from '../../../attestation/log/error.ts';
import { ApiError } from '../../errors.ts';

/** From `attest`'s commit to its entry takes well below this. */
const NOT_YET_RETRY_AFTER_S = 1;

/** What the log refuses, as an answer. */
export function logProblem(error: unknown): never {
  if (error instanceof LogServiceError && error.code === 'pending') {
    throw new ApiError('not_yet_logged', { retryAfterS: NOT_YET_RETRY_AFTER_S });
  }
  if (error instanceof LogServiceError && error.code === 'not_in_log') throw new ApiError('proof_not_found');
  if (error instanceof LogServiceError && error.code === 'no_checkpoint')
    throw new ApiError('checkpoint_not_found');
  throw error;
}

/** The entry is not there, and may come. */
export function isMissing(error: unknown): boolean {
  return error instanceof LogServiceError && (error.code === 'pending' || error.code === 'not_in_log');
}
