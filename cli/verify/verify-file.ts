import { nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import { specVerifier } from '../../domain/receipt/spec-facts.ts';
import type { Trust, Verdict } from '../../domain/receipt/verdict.ts';
import { verifyBundle } from '../../domain/receipt/verify.ts';

/** Bundles of a thousand executions with inlined outputs stay below. */
export const BUNDLE_BYTES = 256 * 1024 * 1024;

/** Checks the bytes of a bundle file: no network, no clock, no state but `trust`. */
export function verifyBundleBytes(bytes: Uint8Array, trust: Trust): Verdict {
  let bundle: unknown;
  try {
    bundle = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return { ok: false, link: 'bundle', where: '', reason: 'the file is not JSON' };
  }
  return verifyBundle(bundle, trust, {
    verifiers: nodeVerifiers,
    verifySpec: specVerifier(nodeVerifiers),
  });
}
