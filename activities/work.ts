import type { Work } from '../backends/backend.ts';
import { canonicalJson } from '../domain/json/jcs.ts';
import { parseStrictJson } from '../domain/json/parse.ts';
import type { Region } from '../domain/jobspec/region.ts';
import { parseJobSpec, type JobSpec } from '../domain/jobspec/spec.ts';
import type { WorkRow } from '../store/work.ts';

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
  return new TextEncoder().encode(canonicalJson({ input: { type, data, hash }, model, question }));
}

/** What a backend is given, from the signed bytes as they were received. */
export function readWork(row: WorkRow): Work {
  const spec = parseJobSpec(parseStrictJson(row.raw));
  const { command, environment, resources } = spec.benchmark.container;
  return {
    executionId: row.executionId,
    attempt: row.attempt,
    name: `${row.executionId}-${row.attempt}`,
    region: row.region as Region | null,
    image: imageOf(spec, row.model),
    command,
    environment,
    resources: {
      ...(resources.cpu === undefined ? {} : { cpu: resources.cpu }),
      ...(resources.memory === undefined ? {} : { memory: resources.memory }),
    },
    input: inputBytes(spec, row.model, row.question),
  };
}
