export type KeyErrorCode =
  | 'key_file_modes'
  | 'key_file_unreadable'
  | 'key_wrong_type'
  | 'key_missing_for_log'
  | 'receipt_key_not_in_log'
  | 'receipt_key_ended'
  | 'log_key_missing'
  | 'signing_failed'
  | 'signing_timed_out';

export class KeyError extends Error {
  readonly code: KeyErrorCode;
  constructor(code: KeyErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'KeyError';
    this.code = code;
  }
}
