/** Why a path or a range of a tree of blocks cannot be had. */
export type BlocksErrorCode = 'path_not_found' | 'range_outside' | 'block_missing';

export class BlocksError extends Error {
  override name = 'BlocksError';
  readonly code: BlocksErrorCode;

  constructor(code: BlocksErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
