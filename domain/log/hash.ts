import type { Sha256 } from '../crypto.ts';

export const HASH_BYTES = 32;

/** The hashing of RFC 6962 section 2.1: leaves and nodes lie in different domains, so neither can pass for the other. */
export interface TreeHash {
  leaf(entry: Uint8Array): Uint8Array;
  node(left: Uint8Array, right: Uint8Array): Uint8Array;
  /** Root of the tree without leaves. */
  empty(): Uint8Array;
}

export function treeHash(sha256: Sha256): TreeHash {
  return {
    leaf(entry) {
      const input = new Uint8Array(1 + entry.length);
      input.set(entry, 1);
      return sha256(input);
    },
    node(left, right) {
      const input = new Uint8Array(1 + 2 * HASH_BYTES);
      input[0] = 1;
      input.set(left, 1);
      input.set(right, 1 + HASH_BYTES);
      return sha256(input);
    },
    empty: () => sha256(new Uint8Array()),
  };
}
