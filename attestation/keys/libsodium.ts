import { verifyEd25519InPool } from './node-verifiers.ts';

/** The one function that is used of `sodium-native`. It throws where a length is wrong. */
interface Sodium {
  crypto_sign_verify_detached(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
}

/**
 * An optional dependency with a binary for each platform: where there is none for this one (musl, say), OpenSSL verifies.
 * The specifier is no literal, because the package brings no types.
 */
const sodium = await loadSodium('sodium-native');

async function loadSodium(specifier: string): Promise<Sodium | undefined> {
  try {
    return ((await import(specifier)) as { default: Sodium }).default;
  } catch {
    return undefined;
  }
}

/** Which of the two verifies here. */
export const ed25519Library = sodium === undefined ? 'openssl' : 'libsodium';

/**
 * Ed25519 at half of what OpenSSL takes (docs/performance.md, intake), on the spot: a tenth of a millisecond for a spec of
 * a kilobyte. OpenSSL does it in the runtime's thread pool. libsodium accepts nothing that OpenSSL refuses, and refuses
 * what nobody signs by accident: keys and points of small order, keys not in their shortest form.
 */
export const verifyEd25519Fast: (
  key: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
) => boolean | Promise<boolean> =
  sodium === undefined
    ? verifyEd25519InPool
    : (key, message, signature) =>
        key.length === 32 &&
        signature.length === 64 &&
        sodium.crypto_sign_verify_detached(signature, message, key);
