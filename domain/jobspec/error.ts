/** A job spec or its plan is refused; the answer is a 400 that names the field. */
export class JobSpecError extends Error {
  readonly code = 'validation_error';
  /** As `constraints.regions[1]`. */
  readonly field: string;

  constructor(field: string, message: string) {
    super(message);
    this.name = 'JobSpecError';
    this.field = field;
  }
}
