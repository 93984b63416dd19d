import { nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import { expandPlan } from '../../domain/jobspec/expand.ts';
import { parseJobSpec } from '../../domain/jobspec/spec.ts';
import { parseStrictJson } from '../../domain/json/parse.ts';
import type { SpecFacts, Trust, Verdict } from '../../domain/receipt/verdict.ts';
import { verifyBundle } from '../../domain/receipt/verify.ts';
import { verifySpec } from '../../domain/signing/verify.ts';

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
  return verifyBundle(bundle, trust, { verifiers: nodeVerifiers, verifySpec: specFacts });
}

/** Signature and meaning of a job spec, from its bytes alone. */
function specFacts(bytes: Uint8Array): SpecFacts {
  const tree = parseStrictJson(bytes);
  const { form, publicKey } = verifySpec(tree, nodeVerifiers.verifyEd25519);
  const spec = parseJobSpec(tree);
  const backends = { '*': spec.constraints.backends ?? ['local'] };
  // Only what the spec decides is compared; the settings in a plan are the service's.
  const plan = expandPlan(spec, { backends, deadlineMs: 0, maxParallel: 0, attemptsPerRegion: 0 });
  return {
    form,
    publicKey,
    rule: { min_regions: plan.min_regions, min_success_rate: plan.min_success_rate },
    planned: plan.executions.length,
  };
}
