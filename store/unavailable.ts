/** Connection exceptions, operator's intervention, too many connections (PostgreSQL, appendix A). */
const UNAVAILABLE_STATES = /^(08...|57P0[1-5]|53300|53400)$/;
const UNAVAILABLE_SYSTEM_CODES: readonly unknown[] = [
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
];
/** pg says these without a code. */
const UNAVAILABLE_MESSAGES =
  /^(timeout exceeded when trying to connect|Connection terminated|Client has encountered a connection error|Cannot use a pool after calling end|Query read timeout)/;

/** Whether `error` means that the database cannot be asked now, as against a fault in what was asked. */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? error.code : undefined;
  if (error instanceof AggregateError) return error.errors.some(isUnavailable);
  return (
    UNAVAILABLE_SYSTEM_CODES.includes(code) ||
    (typeof code === 'string' && UNAVAILABLE_STATES.test(code)) ||
    UNAVAILABLE_MESSAGES.test(error.message)
  );
}

/** Whether a row that must be unique was there already (PostgreSQL, appendix A: unique_violation). */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '23505';
}
