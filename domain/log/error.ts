export type LogErrorCode =
  | 'note_malformed'
  | 'note_unsigned'
  | 'note_signature_invalid'
  | 'vkey_malformed'
  | 'checkpoint_malformed'
  | 'origin_mismatch'
  | 'proof_malformed'
  | 'bundle_malformed'
  | 'policy_malformed'
  | 'size_out_of_range';

export class LogError extends Error {
  readonly code: LogErrorCode;
  constructor(code: LogErrorCode, message: string) {
    super(message);
    this.name = 'LogError';
    this.code = code;
  }
}
