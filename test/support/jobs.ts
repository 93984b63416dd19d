import { createHash, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { uuidv7 } from 'uuidv7';
import { expandPlan, type PlanSettings } from '../../domain/jobspec/expand.ts';
import { parseJobSpec } from '../../domain/jobspec/spec.ts';
import { parseStrictJson } from '../../domain/json/parse.ts';
import { signSpec } from '../../domain/signing/sign.ts';
import type { Submit } from '../../store/submit-statement.ts';

export interface SpecOptions {
  id?: string;
  regions?: string[];
  questions?: string[];
  constraints?: Record<string, unknown>;
  image?: string;
  command?: string[];
  input?: Record<string, unknown>;
}

/** A small unsigned job spec with a fresh id. */
export function jobSpec({
  id,
  regions = ['US'],
  questions = [],
  constraints = {},
  image,
  command,
  input,
}: SpecOptions = {}) {
  return {
    id: id ?? `job-${uuidv7()}`,
    version: '1.0',
    benchmark: {
      name: 'test',
      container: { image: image ?? 'builtin:echo', tag: '', ...(command === undefined ? {} : { command }) },
      input: { type: 'prompt', data: input ?? { prompt: 'who are you?' }, hash: 'sha256:test' },
    },
    constraints: { regions, min_regions: 1, ...constraints },
    metadata: { timestamp: new Date().toISOString(), nonce: uuidv7() },
    created_at: new Date().toISOString(),
    ...(questions.length > 0 ? { questions } : {}),
  };
}

export function clientKey(): { privateKey: KeyObject; publicKey: Uint8Array } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return { privateKey, publicKey: publicKey.export({ type: 'spki', format: 'der' }).subarray(-32) };
}

/** The bytes of a signed spec, as a client posts them. */
export function signedSpec(spec: object, key = clientKey()): Uint8Array {
  const signed = signSpec(spec, {
    publicKey: key.publicKey,
    sign: (message) => sign(null, message, key.privateKey),
  });
  return new TextEncoder().encode(JSON.stringify(signed));
}

const PLAN: PlanSettings = {
  backends: { '*': ['local'] },
  deadlineMs: 3_600_000,
  maxParallel: 10,
  attemptsPerRegion: 3,
};

/** What the API hands to the store for a signed spec that passed every check. */
export function submitOf(raw: Uint8Array, plan: Partial<PlanSettings> = {}): Submit {
  const spec = parseJobSpec(parseStrictJson(raw));
  const sha256 = createHash('sha256').update(raw).digest();
  const { public_key: owner } = JSON.parse(new TextDecoder().decode(raw)) as { public_key: string };
  return {
    id: spec.id!,
    idGiven: true,
    owner,
    form: 'V0',
    messageSha256: sha256,
    requestSha256: sha256,
    nonce: spec.nonce ?? null,
    idempotencyKey: null,
    raw,
    name: spec.benchmark.name,
    plan: expandPlan(spec, { ...PLAN, ...plan }),
    questions: spec.questions,
    visibility: spec.visibility,
  };
}
