import type { Needs, Work } from '../backends/backend.ts';
import { parseStrictJson } from '../domain/json/parse.ts';
import { decimalOf } from '../domain/money/decimal.ts';
import type { Region } from '../domain/jobspec/region.ts';
import { parseJobSpec, type JobSpec } from '../domain/jobspec/spec.ts';
import { imageOf, inputBytes } from '../domain/jobspec/work-input.ts';
import type { WorkRow } from '../store/work.ts';

/** More than there is; keeps any number that a spec may hold an amount. */
const MOST_GLM = 1e12;

/** What a backend is given, from the signed bytes as they were received. */
export function readWork(row: WorkRow): Work {
  const spec = parseJobSpec(parseStrictJson(row.raw));
  return {
    ...needsOf(spec, row),
    executionId: row.executionId,
    attempt: row.attempt,
    name: `${row.executionId}-${row.attempt}`,
    input: inputBytes(spec, row.model, row.question),
  };
}

export type NeedsRow = Pick<WorkRow, 'raw' | 'images' | 'model' | 'region'>;

/** The same before there is an attempt. */
export function readNeeds(row: NeedsRow): Needs {
  return needsOf(parseJobSpec(parseStrictJson(row.raw)), row);
}

function needsOf(spec: JobSpec, row: Omit<NeedsRow, 'raw'>): Needs {
  const image = imageOf(spec, row.model);
  const { command, environment, resources } = spec.benchmark.container;
  return {
    region: row.region as Region | null,
    image,
    imageDigest: row.images[image] ?? null,
    command,
    environment,
    resources: {
      ...(resources.cpu === undefined ? {} : { cpu: resources.cpu }),
      ...(resources.memory === undefined ? {} : { memory: resources.memory }),
    },
    asked: {
      regionPolicy: spec.constraints.regionPolicy ?? null,
      maxCost:
        spec.constraints.maxCost === undefined
          ? null
          : decimalOf(Math.min(spec.constraints.maxCost, MOST_GLM)),
      providers: spec.constraints.providers,
    },
  };
}
