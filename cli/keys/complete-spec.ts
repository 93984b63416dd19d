import { randomBytes } from 'node:crypto';
import { isJsonObject, type JsonNode, type JsonObject } from '../../domain/json/node.ts';
import { CliError } from '../failure.ts';

/** As many as a UUID has; the service keeps every nonce it has seen per key. */
const NONCE_BYTES = 16;
const JOB_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export interface Completion {
  id?: string | undefined;
  /** Also replace what is there. */
  fresh?: boolean | undefined;
}

/**
 * Puts in what a signed spec should carry and the author left out: `created_at`, `metadata.timestamp` and
 * `metadata.nonce`, as sigtool did. Everything else stays as written. Answers the names of what it set.
 */
export function completeSpec(spec: JsonObject, now: Date, { id, fresh = false }: Completion): string[] {
  const set: string[] = [];
  const put = (object: JsonObject, key: string, value: string, name: string): void => {
    if (!fresh && !isAbsent(object.get(key))) return;
    object.set(key, value);
    set.push(name);
  };
  if (id !== undefined) {
    if (!JOB_ID.test(id)) {
      throw new CliError('usage', `--id: "${id}" is not a job id`, {
        next: 'letters, digits, dot, underscore, hyphen; at most 128; the first a letter or digit',
      });
    }
    spec.set('id', id);
    set.push('id');
  }
  const time = now.toISOString();
  put(spec, 'created_at', time, 'created_at');
  const metadata = metadataOf(spec);
  put(metadata, 'timestamp', time, 'metadata.timestamp');
  put(metadata, 'nonce', randomBytes(NONCE_BYTES).toString('base64url'), 'metadata.nonce');
  return set;
}

function metadataOf(spec: JsonObject): JsonObject {
  const metadata = spec.get('metadata');
  if (isJsonObject(metadata)) return metadata;
  if (!isAbsent(metadata)) {
    throw new CliError('input_invalid', 'metadata must be an object', {
      next: 'it carries the timestamp and the nonce that are signed',
    });
  }
  const made: JsonObject = new Map();
  spec.set('metadata', made);
  return made;
}

function isAbsent(node: JsonNode | undefined): boolean {
  return node === undefined || node === null || node === '';
}
