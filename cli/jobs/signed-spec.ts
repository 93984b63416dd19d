import { nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import { expandPlan } from '../../domain/jobspec/expand.ts';
import { JobSpecError } from '../../domain/jobspec/error.ts';
import type { Plan } from '../../domain/jobspec/plan.ts';
import { parseJobSpec, type JobSpec } from '../../domain/jobspec/spec.ts';
import type { JsonObject } from '../../domain/json/node.ts';
import { SigningError } from '../../domain/signing/error.ts';
import { verifySpec, type VerifiedSpec } from '../../domain/signing/verify.ts';
import { CliError } from '../failure.ts';
import { textOf } from '../keys/sign.ts';

export interface CheckedSpec {
  spec: JobSpec;
  verified: VerifiedSpec;
  plan: Plan;
}

/** An unsigned file never goes out: the answer to it would be a refusal that counts against this address. */
export function requireSigned(tree: JsonObject, name: string): void {
  const missing = ['signature', 'public_key'].filter((field) => textOf(tree, field) === undefined);
  if (missing.length === 0) return;
  throw new CliError('spec_unsigned', `${name} is not signed: it has no ${missing.join(' and no ')}`, {
    next: `sign it: beacon sign ${name === 'standard input' ? 'FILE' : name} signed.json`,
  });
}

/** What the service would check and plan, here: shape, signature, plan. Backends are the service's to know. */
export function checkSpec(tree: JsonObject, name: string): CheckedSpec {
  try {
    const spec = parseJobSpec(tree);
    const verified = verifySpec(tree, nodeVerifiers.verifyEd25519);
    const backends = { '*': spec.constraints.backends ?? ['local'] };
    const plan = expandPlan(spec, { backends, ...SERVICE_DEFAULTS });
    return { spec, verified, plan };
  } catch (cause) {
    if (cause instanceof JobSpecError) {
      const field = cause.field === '' || cause.message.includes(cause.field) ? '' : `${cause.field}: `;
      throw new CliError('failed', `${name}: ${field}${cause.message}`, { cause });
    }
    if (cause instanceof SigningError) {
      const next =
        cause.code === 'signature_mismatch'
          ? 'was it changed after signing? sign it again with `beacon sign`'
          : undefined;
      throw new CliError('failed', `${name}: ${cause.message} (${cause.code})`, { next, cause });
    }
    throw cause;
  }
}

/** Whether only its owner and the operator may see the job. */
export function isPrivate(tree: JsonObject): boolean {
  try {
    return parseJobSpec(tree).visibility === 'private';
  } catch {
    // A newer service may take what this version does not understand.
    return false;
  }
}

/** They stand in the plan but are the service's to choose; only the number of executions is shown. */
const SERVICE_DEFAULTS = { deadlineMs: 0, maxParallel: 0, attemptsPerRegion: 0 };
