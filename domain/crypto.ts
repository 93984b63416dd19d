/**
 * The cryptography that verifying needs, handed in so that `domain` runs anywhere: `domain/crypto-portable.ts` for
 * browsers, `attestation/keys/node-verifiers.ts` for Node. A malformed key or signature is `false`, never a throw.
 */
export interface Verifiers {
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  /** RFC 8032 Ed25519 over `message`; the key is its 32 raw bytes. */
  readonly verifyEd25519: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;
  /** ECDSA P-256 with SHA-256 over `message`; the key is DER SubjectPublicKeyInfo, the signature DER. */
  readonly verifyP256: (spki: Uint8Array, message: Uint8Array, derSignature: Uint8Array) => boolean;
}

export type Sha256 = Verifiers['sha256'];
