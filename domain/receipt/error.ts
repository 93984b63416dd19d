export type ReceiptErrorCode =
  | 'cid_malformed'
  | 'document_malformed'
  | 'document_not_canonical'
  | 'document_too_large'
  | 'envelope_malformed'
  | 'bundle_malformed';

export class ReceiptError extends Error {
  readonly code: ReceiptErrorCode;
  constructor(code: ReceiptErrorCode, message: string) {
    super(message);
    this.name = 'ReceiptError';
    this.code = code;
  }
}
