import { ed25519 } from '@noble/curves/ed25519.js';
import { p256 } from '@noble/curves/nist.js';
import { sha256 } from '@noble/hashes/sha2.js';
import type { Verifiers } from './crypto.ts';
import { p256Point } from './p256-spki.ts';

/** Pure JavaScript, runs in every browser and in Node. */
export const portableVerifiers: Verifiers = {
  sha256,
  verifyEd25519(publicKey, message, signature) {
    try {
      // Strict RFC 8032, as node:crypto does, so that browser and server agree on edge cases.
      return ed25519.verify(signature, message, publicKey, { zip215: false });
    } catch {
      return false;
    }
  },
  verifyP256(spki, message, derSignature) {
    const point = p256Point(spki);
    if (point === undefined) return false;
    try {
      // ECDSA signers outside Bitcoin do not normalise s; both halves are valid.
      return p256.verify(derSignature, message, point, { format: 'der', lowS: false });
    } catch {
      return false;
    }
  },
};
