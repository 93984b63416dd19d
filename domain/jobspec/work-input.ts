import { utf8 } from '../encoding.ts';
import { canonicalJson } from '../json/jcs.ts';
import type { JobSpec } from './spec.ts';

/** The image that an execution asks for: its model's own, else the job's. */
export function imageOf(spec: JobSpec, model: string | null): string {
  return spec.models.find((one) => one.id === model)?.image ?? spec.benchmark.container.image;
}

/**
 * The bytes of the BEACON_INPUT file: canonical JSON `{input: {type, data, hash}, model, question}`, null for what the
 * job does not name. The same in every region, so that answers can be compared.
 */
export function inputBytes(spec: JobSpec, model: string | null, question: string | null): Uint8Array {
  const { type = null, data, hash } = spec.benchmark.input;
  return utf8(canonicalJson({ input: { type, data, hash }, model, question }));
}
