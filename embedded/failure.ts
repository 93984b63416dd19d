export type EmbeddedErrorCode =
  | 'aborted'
  | 'account_unavailable'
  | 'binaries_missing'
  | 'binaries_unusable'
  | 'credentials_missing'
  | 'data_of_other_version'
  | 'database_missing'
  | 'initdb_failed'
  | 'postgres_not_ready'
  | 'port_unavailable'
  | 'role_not_ready'
  | 'state_foreign'
  | 'state_locked'
  | 'temporal_not_ready'
  | 'temporal_unavailable';

/** One line that says what is wrong and what to do next. */
export class EmbeddedError extends Error {
  override readonly name = 'EmbeddedError';
  readonly code: EmbeddedErrorCode;

  constructor(code: EmbeddedErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The reason of whatever was thrown, for a line of text. */
export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The `code` of a system error (`ENOENT`, …). */
export const systemCode = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
