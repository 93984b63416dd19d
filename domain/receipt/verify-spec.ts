import type { Verifiers } from '../crypto.ts';
import { fromBase64, toHex } from '../encoding.ts';
import type { Origin } from './execution-receipt.ts';
import { demand, within, type SpecFacts } from './verdict.ts';

export interface VerifyTools {
  verifiers: Verifiers;
  /**
   * Checks the signature of a job spec on its raw bytes (domain/signing); throws when it does not hold. `likelyForm`: the
   * form over which it is tried first.
   */
  verifySpec: (bytes: Uint8Array, likelyForm?: string) => SpecFacts;
}

export interface CheckedSpec {
  facts: SpecFacts;
  /** Hex. */
  sha256: string;
}

/** As receipts and summaries state it in their canonical JSON. */
const STATED_FORM = /"form":"([\w-]+)"/;

/**
 * `document`: the receipt or summary that was signed for this spec. The form that it seems to state saves trying the
 * others; that it is the true one is demanded later, of the document as it was read.
 */
export function checkSpec(
  base64: string,
  document: string,
  { verifiers, verifySpec }: VerifyTools,
): CheckedSpec {
  const bytes = fromBase64(base64);
  demand(bytes !== undefined, 'spec', 'spec', 'the job spec is not base64');
  return {
    facts: within('spec', 'spec', () => verifySpec(bytes, STATED_FORM.exec(document)?.[1])),
    sha256: toHex(verifiers.sha256(bytes)),
  };
}

export function demandSpec(origin: Origin, { facts, sha256 }: CheckedSpec, where: string): void {
  demand(origin.spec_sha256 === sha256, 'spec', where, 'signed for another job spec');
  const sameJob = facts.jobId === undefined || origin.id === facts.jobId;
  demand(sameJob, 'spec', where, 'signed for another job than the one that the spec names');
  const sameKey = origin.public_key === undefined || origin.public_key === facts.publicKey;
  demand(sameKey, 'spec', where, 'states another public key than the job spec');
  demand(
    origin.form === undefined || origin.form === facts.form,
    'spec',
    where,
    'states another canonical form',
  );
}
