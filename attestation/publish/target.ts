/** A place outside that is to hold what was published. Three facts, each with its own time: stored, pinned, announced. */
export interface PublishTarget {
  readonly name: string;
  readonly kind: 'kubo' | 'pinning';
  /**
   * Hands a tree over, or asks how far it is; repeated until it is pinned and, where the place announces, announced. What
   * is there already is success. Throws PublishError.
   */
  publish(tree: Tree, signal: AbortSignal): Promise<Facts>;
  /**
   * Asks the place to keep it no longer; what it does not keep is success. Copies that others fetched persist. Throws
   * PublishError.
   */
  remove(cid: string, signal: AbortSignal): Promise<void>;
}

export interface Tree {
  cid: string;
  /** By which people find it at that place. */
  name: string;
  /** What `publish` answered last, if it did. */
  known: Facts;
  /** All blocks, each once. */
  car(): Promise<AsyncIterable<Uint8Array>>;
}

export interface Facts {
  /** The place has the bytes. */
  stored: boolean;
  /** It keeps them. */
  pinned: boolean;
  /** It told the network; null: not its to say. */
  announced: boolean | null;
  /** The place's own name for the request. */
  requestId?: string | undefined;
  /** Why something is not true yet, for people. */
  note?: string | undefined;
}

export const NOTHING_YET: Facts = { stored: false, pinned: false, announced: false };

/** `unreachable`: the place as a whole; nothing else is tried there for a while. `refused`: this tree. */
export type PublishErrorCode = 'unreachable' | 'refused';

export class PublishError extends Error {
  override name = 'PublishError';
  readonly code: PublishErrorCode;

  constructor(code: PublishErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
