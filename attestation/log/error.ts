export type LogServiceErrorCode =
  | 'origin_fixed'
  | 'origin_invalid'
  | 'rollback_detected'
  | 'log_inconsistent'
  | 'log_closed'
  | 'no_checkpoint'
  | 'not_in_log'
  | 'pending';

export class LogServiceError extends Error {
  readonly code: LogServiceErrorCode;
  constructor(code: LogServiceErrorCode, message: string) {
    super(message);
    this.name = 'LogServiceError';
    this.code = code;
  }
}
