import { failure, type Failure, type FailureCode } from '../domain/failure.ts';

/** An attempt ends as failed, for a reason of the catalogue; never leaves the backend as an exception. */
export class Refusal extends Error {
  override name = 'Refusal';
  readonly failure: Failure;

  constructor(code: FailureCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.failure = failure(code, message);
  }
}
