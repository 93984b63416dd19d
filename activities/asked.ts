import { createHash } from 'node:crypto';
import { parseStrictJson } from '../domain/json/parse.ts';
import { parseJobSpec, type JobSpec } from '../domain/jobspec/spec.ts';
import { imageOf, inputBytes } from '../domain/jobspec/work-input.ts';

/** What a receipt repeats of the signed spec. */
export interface Asked {
  image(model: string | null): string;
  inputSha256(model: string | null, question: string | null): string;
}

/**
 * Reads it from the bytes that were signed. A spec that this version can no longer parse must not keep its job from
 * ending: the receipt then says so, and its input hash is the spec's own.
 */
export function readAsked(raw: Uint8Array, specSha256: Uint8Array): Asked {
  let spec: JobSpec;
  try {
    spec = parseJobSpec(parseStrictJson(raw));
  } catch {
    return {
      image: () => 'unknown: spec unreadable',
      inputSha256: () => Buffer.from(specSha256).toString('hex'),
    };
  }
  return {
    image: (model) => imageOf(spec, model),
    inputSha256: (model, question) =>
      createHash('sha256')
        .update(inputBytes(spec, model, question))
        .digest('hex'),
  };
}
