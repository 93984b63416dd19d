import * as crypto from 'node:crypto';
import { KeyError } from './error.ts';

/**
 * A private key, seen by who signs with it: the one thing that is asked of it, wherever it lies. Today it is a PEM from a
 * file or the environment (`pemSigner`); a key service is another function that returns the same.
 */
export interface Signer {
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  /** Rejects with KeyError `signing_failed` or `signing_timed_out`. */
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/** No checkpoint and no receipt waits longer for its signature; who asked tries again later. */
export const SIGN_TIMEOUT_MS = 2_000;

/** Signs by whatever means; `signal` is aborted when nobody waits for the answer any more. */
export type SignBytes = (message: Uint8Array, signal: AbortSignal) => Uint8Array | Promise<Uint8Array>;

/** Every signature of this project goes through here, so that none takes longer than the bound. */
export function boundedSigner(spki: Uint8Array, sign: SignBytes, timeoutMs = SIGN_TIMEOUT_MS): Signer {
  return {
    spki,
    async sign(message) {
      const late = new AbortController();
      let timer: NodeJS.Timeout | undefined;
      const timeout = new Promise<never>((_, reject) => {
        timer = setTimeout(() => {
          const error = new KeyError('signing_timed_out', `no signature within ${timeoutMs} ms`);
          late.abort(error);
          reject(error);
        }, timeoutMs);
      });
      try {
        return await Promise.race([sign(message, late.signal), timeout]);
      } catch (cause) {
        if (cause instanceof KeyError) throw cause;
        throw new KeyError('signing_failed', 'the key could not sign', cause);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

/** A key in this process: Ed25519, or ECDSA over SHA-256 with DER signatures. */
export function pemSigner(key: crypto.KeyObject): Signer {
  const spki = new Uint8Array(crypto.createPublicKey(key).export({ format: 'der', type: 'spki' }));
  const algorithm = key.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  return boundedSigner(spki, (message) => new Uint8Array(crypto.sign(algorithm, message, key)));
}
