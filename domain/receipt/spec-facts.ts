import type { Verifiers } from '../crypto.ts';
import { expandPlan } from '../jobspec/expand.ts';
import { parseJobSpec } from '../jobspec/spec.ts';
import { parseStrictJson } from '../json/parse.ts';
import { verifySpec } from '../signing/verify.ts';
import { plannedRows } from './planned-row.ts';
import type { SpecFacts } from './verdict.ts';

/** Only what the signed spec itself fixes is taken from the plan; the operator's settings do not matter here. */
const ANY_SETTINGS = { deadlineMs: 1, maxParallel: 1, attemptsPerRegion: 1 };

/**
 * The check of a job spec that bundles are verified with: its signature on the raw bytes, which executions and which
 * success rule it asks for. So no receipt can be of other work than the client signed, and no summary of less.
 */
export function specVerifier({
  sha256,
  verifyEd25519,
}: Pick<Verifiers, 'sha256' | 'verifyEd25519'>): (raw: Uint8Array, likelyForm?: string) => SpecFacts {
  return (raw, likelyForm) => {
    const node = parseStrictJson(raw);
    const { form, publicKey } = verifySpec(node, verifyEd25519, likelyForm);
    const spec = parseJobSpec(node);
    const backends = { '*': spec.constraints.backends ?? ['any'] };
    const plan = expandPlan(spec, { backends, ...ANY_SETTINGS });
    return {
      form,
      publicKey,
      ...(spec.id === undefined ? {} : { jobId: spec.id }),
      planned: plannedRows(spec, plan, sha256),
      rule: { min_regions: plan.min_regions, min_success_rate: plan.min_success_rate },
    };
  };
}
