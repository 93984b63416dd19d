import { isJsonObject, type JsonNode, type JsonObject } from '../json/node.ts';

/**
 * An older service signed what was left after it had dropped null, "", 0 and objects that become empty from all objects
 * that do not lie in an array; booleans and arrays stay (spec: beacon §2.2).
 */
export interface Pruned {
  object: JsonObject;
  /** Paths of what was dropped, as `constraints.min_regions`. */
  dropped: string[];
}

export function prune(object: JsonObject): Pruned {
  const dropped: string[] = [];
  return { object: pruneObject(object, '', dropped), dropped };
}

function pruneObject(object: JsonObject, prefix: string, dropped: string[]): JsonObject {
  const kept: JsonObject = new Map();
  for (const [key, member] of object) {
    // A dot in a key is doubled, so that no key reads as a path.
    const path = prefix + key.replaceAll('.', '..');
    const value: JsonNode = isJsonObject(member) ? pruneObject(member, `${path}.`, dropped) : member;
    if (isNothing(value)) dropped.push(path);
    else kept.set(key, value);
  }
  return kept;
}

function isNothing(value: JsonNode): boolean {
  return value === null || value === '' || value === 0 || (isJsonObject(value) && value.size === 0);
}

/**
 * The fields whose null, "", 0 or {} means to Beacon what their absence means. Anybody may add or drop such a member of
 * a job that was signed in a pruned form, so these forms hold only where nothing else was dropped (spec: beacon §2.4
 * point 6). Not here, because a program or a reader would see the difference: what lies in `benchmark.input.data`,
 * `benchmark.container.environment`, `metadata` and unknown fields.
 */
const MEANS_ABSENCE: ReadonlySet<string> = new Set([
  'jobspec_id',
  'version',
  'visibility',
  'questions',
  'models',
  'runs',
  'wallet_auth',
  'metadata',
  'metadata.nonce',
  'metadata.timestamp',
  'metadata.model',
  'metadata.models',
  'metadata.visibility',
  'benchmark.version',
  'benchmark.description',
  'benchmark.metadata',
  'benchmark.container.tag',
  'benchmark.container.command',
  'benchmark.container.environment',
  'benchmark.container.resources',
  'benchmark.container.resources.cpu',
  'benchmark.container.resources.memory',
  'benchmark.container.resources.gpu',
  'benchmark.input.type',
  'benchmark.input.data',
  'benchmark.scoring',
  'benchmark.scoring.method',
  'benchmark.scoring.parameters',
  'constraints.min_regions',
  'constraints.min_success_rate',
  'constraints.timeout',
  'constraints.provider_timeout',
  'constraints.providers',
  'constraints.backends',
  'constraints.fallback_regions',
]);

/** Whether a job without `dropped` means exactly what it means with them. */
export function dropsNothingMeant(dropped: readonly string[]): boolean {
  return dropped.every((path) => MEANS_ABSENCE.has(path));
}
