import type { JsonObject, PlainObject } from '../json/node.ts';
import { LIMITS } from '../limits.ts';
import { JobSpecError } from './error.ts';
import {
  member,
  quoted,
  readObject,
  readPlain,
  readString,
  readStrings,
  readText,
  refused,
  type Field,
} from './field.ts';
import { joinImage } from './image.ts';
import { parseCpu, parseMemory } from './quantity.ts';

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** What a program is told about its job; a job that could set them would be believed by its own program. */
const OWN_PREFIX = 'BEACON_';

/** What a job runs (spec: beacon §1.3), defaults filled. */
export interface Benchmark {
  name: string;
  version: string | undefined;
  description: string;
  container: Container;
  input: { type: string | undefined; data: PlainObject; hash: string };
  scoring: { method: string; parameters: PlainObject };
  metadata: PlainObject;
}

export interface Container {
  /** `<registry reference>`, `oci:<path>` or `builtin:<name>`, tag joined. */
  image: string;
  /** Empty = what the image says. */
  command: string[];
  environment: Record<string, string>;
  resources: Resources;
}

export interface Resources {
  /** As written, for people; `cpuMillis` and `memoryBytes` are what they mean. */
  cpu: string | undefined;
  cpuMillis: number | undefined;
  memory: string | undefined;
  memoryBytes: number | undefined;
  gpu: string | undefined;
}

export function parseBenchmark(spec: JsonObject): Benchmark {
  const object = readObject(member(spec, 'benchmark'));
  const at = (key: string): Field => member(object, key, 'benchmark');
  const name = readText(at('name'), LIMITS.specNameBytes);
  if (name === undefined) throw new JobSpecError('benchmark.name', 'benchmark name is required');
  return {
    name,
    version: readText(at('version'), LIMITS.specWordBytes),
    description: readText(at('description'), LIMITS.specTextBytes) ?? `Benchmark: ${name}`,
    container: parseContainer(readObject(at('container'))),
    input: parseInput(readObject(at('input'))),
    scoring: parseScoring(readObject(at('scoring'))),
    metadata: readPlain(at('metadata')),
  };
}

function parseContainer(object: JsonObject): Container {
  const at = (key: string): Field => member(object, key, 'benchmark.container');
  const image = readText(at('image'), LIMITS.imageBytes);
  if (image === undefined) throw new JobSpecError(at('image').path, 'container image is required');
  const tag = readText(at('tag'), LIMITS.specNameBytes);
  return {
    image: joinImage(
      { value: image, path: at('image').path },
      tag === undefined ? undefined : { value: tag, path: at('tag').path },
    ),
    command: readStrings(at('command'), LIMITS.commandWords, LIMITS.commandWordBytes) ?? [],
    environment: parseEnvironment(at('environment')),
    resources: parseResources(readObject(at('resources'))),
  };
}

function parseEnvironment(field: Field): Record<string, string> {
  const object = readObject(field);
  if (object.size > LIMITS.environmentEntries)
    throw refused(field, `must have at most ${LIMITS.environmentEntries} entries`);
  const environment = Object.create(null) as Record<string, string>;
  for (const [name, value] of object) {
    const entry = { value, path: `${field.path}[${quoted(name)}]` };
    if (!VARIABLE.test(name) || name.length > LIMITS.environmentNameBytes)
      throw refused(
        entry,
        `is no name of a variable: a letter or _, then letters, digits or _, at most ${LIMITS.environmentNameBytes}`,
      );
    if (name.startsWith(OWN_PREFIX))
      throw refused(
        entry,
        `cannot be set by a job: names that begin with ${OWN_PREFIX} are the service's own`,
      );
    environment[name] = readString(entry, LIMITS.environmentValueBytes)!;
  }
  return environment;
}

function parseResources(object: JsonObject): Resources {
  const at = (key: string): Field => member(object, key, 'benchmark.container.resources');
  const cpu = readText(at('cpu'), LIMITS.specWordBytes);
  const memory = readText(at('memory'), LIMITS.specWordBytes);
  const cpuMillis = cpu === undefined ? undefined : parseCpu(cpu);
  const memoryBytes = memory === undefined ? undefined : parseMemory(memory);
  if (cpu !== undefined && cpuMillis === undefined)
    throw refused(at('cpu'), 'must be an amount such as "500m" or "1"');
  if (memory !== undefined && memoryBytes === undefined)
    throw refused(at('memory'), 'must be an amount such as "256Mi" or "1Gi"');
  return { cpu, cpuMillis, memory, memoryBytes, gpu: readText(at('gpu'), LIMITS.specWordBytes) };
}

/**
 * `hash` must stand there but has no format: signed jobs in the field carry words such as `dummy-hash`. `type` is prompt,
 * dataset, file or command in what clients send; nothing here depends on it, so another word is kept.
 */
function parseInput(object: JsonObject): Benchmark['input'] {
  const at = (key: string): Field => member(object, key, 'benchmark.input');
  const type = readText(at('type'), LIMITS.specWordBytes);
  const data = readPlain(at('data'));
  const hash = readText(at('hash'), LIMITS.specNameBytes);
  if (hash === undefined)
    throw new JobSpecError(at('hash').path, 'input hash is required for integrity verification');
  return { type, data, hash };
}

function parseScoring(object: JsonObject): Benchmark['scoring'] {
  const at = (key: string): Field => member(object, key, 'benchmark.scoring');
  return {
    method: readText(at('method'), LIMITS.specNameBytes) ?? 'default',
    parameters: readPlain(at('parameters')),
  };
}
