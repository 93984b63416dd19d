import { nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import { specVerifier } from '../../domain/receipt/spec-facts.ts';
import type { Trust, Verdict } from '../../domain/receipt/verdict.ts';
import { verifyBundleBytes } from '../../domain/receipt/verify.ts';

/** Bundles of a thousand executions with inlined outputs stay below. */
export const BUNDLE_BYTES = 256 * 1024 * 1024;

/** Checks the bytes of a bundle file: no network, no clock, no state but `trust`. */
export function verifyBundleFile(bytes: Uint8Array, trust: Trust): Verdict {
  return verifyBundleBytes(bytes, trust, {
    verifiers: nodeVerifiers,
    verifySpec: specVerifier(nodeVerifiers),
  });
}
