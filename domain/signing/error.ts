/** Why a signed job spec or a signed request is refused (spec: beacon §2.10). All of them are a 400. */
export type SigningErrorCode =
  | 'missing_field:signature'
  | 'missing_field:public_key'
  | 'missing_field:nonce'
  | 'missing_field:timestamp'
  | 'invalid_encoding:public_key'
  | 'canonicalization_error'
  | 'signature_mismatch'
  | 'timestamp_invalid'
  | 'validation_error';

export class SigningError extends Error {
  readonly code: SigningErrorCode;
  /** `field`: what is at fault. `reason`: one word of a closed set where the code leaves more than one open. */
  readonly details: { field?: string; reason?: string };

  constructor(code: SigningErrorCode, message: string, details: { field?: string; reason?: string } = {}) {
    super(message);
    this.name = 'SigningError';
    this.code = code;
    this.details = details;
  }
}
