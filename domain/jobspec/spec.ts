import { isJsonObject, toPlain, type JsonNode, type JsonObject, type PlainObject } from '../json/node.ts';
import { LIMITS } from '../limits.ts';
import { parseTime } from '../signing/freshness.ts';
import { parseBenchmark, type Benchmark } from './benchmark.ts';
import { parseConstraints, type Constraints } from './constraints.ts';
import { JobSpecError } from './error.ts';
import {
  member,
  quoted,
  readInteger,
  readItems,
  readObject,
  readString,
  readText,
  refused,
} from './field.ts';
import { parseModels, type Model } from './models.ts';

/**
 * A job spec, checked, with defaults filled. It says what the signed bytes mean and never replaces them: signatures are
 * verified over the tree that was received. Members that Beacon does not know are tolerated; they are signed and kept
 * with the raw bytes.
 */
export interface JobSpec {
  /** `id`, else `jobspec_id`; undefined = the caller makes one. */
  id: string | undefined;
  version: string;
  benchmark: Benchmark;
  constraints: Constraints;
  questions: string[];
  models: Model[];
  /** `private` when `visibility` or `metadata.visibility` says so. */
  visibility: 'public' | 'private';
  metadata: PlainObject;
  /** `metadata.nonce`. */
  nonce: string | undefined;
  /** Undefined when absent or empty. */
  walletAuth: PlainObject | undefined;
  /** Paths of items that were ignored, for a warning. */
  ignored: string[];
}

const JOB_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const DEFAULT_VERSION = '1.0';
const MAX_INT32 = 2 ** 31 - 1;

/** Throws JobSpecError, which names the field. */
export function parseJobSpec(spec: JsonNode): JobSpec {
  if (!isJsonObject(spec)) throw new JobSpecError('', 'a job spec must be a JSON object');
  const metadata = readObject(member(spec, 'metadata'));
  const id = readId(spec);
  const ownVersion = readText(member(spec, 'version'), LIMITS.specWordBytes) ?? DEFAULT_VERSION;
  const benchmark = parseBenchmark(spec);
  const version = ownVersion === DEFAULT_VERSION ? (benchmark.version ?? ownVersion) : ownVersion;
  const constraints = parseConstraints(spec);
  const { models, ignored } = parseModels(spec, metadata, constraints.regions);
  checkUnused(spec);
  return {
    id,
    version,
    benchmark,
    constraints,
    questions: readQuestions(spec, version, benchmark.name),
    models,
    visibility: readVisibility(spec, metadata),
    metadata: toPlain(metadata),
    nonce: readText(member(metadata, 'nonce', 'metadata'), LIMITS.nonceBytes),
    walletAuth: readWallet(spec),
    ignored,
  };
}

function readId(spec: JsonObject): string | undefined {
  for (const field of [member(spec, 'id'), member(spec, 'jobspec_id')]) {
    const id = readText(field, LIMITS.specTextBytes);
    if (id === undefined) continue;
    if (!JOB_ID.test(id)) {
      throw refused(
        field,
        `is ${quoted(id)}; it must be 1 to 128 letters, digits, ".", "_" or "-" and begin with a letter or digit`,
      );
    }
    return id;
  }
  return undefined;
}

function readQuestions(spec: JsonObject, version: string, benchmarkName: string): string[] {
  const field = member(spec, 'questions');
  const required = version.toLowerCase() === 'v1' && benchmarkName.toLowerCase().includes('bias');
  const items = readItems(field, LIMITS.executionsPerJob);
  if (required && items === undefined) {
    throw new JobSpecError('questions', 'questions are required for bias-detection v1 jobspec');
  }
  if (required && items?.length === 0) {
    throw new JobSpecError('questions', 'questions must be a non-empty array for bias-detection v1 jobspec');
  }
  return (items ?? []).map((item) => {
    const question = readString(item, LIMITS.questionBytes)!;
    if (question.trim() === '') throw refused(item, 'must not be empty');
    return question;
  });
}

/** Private wins: who says it in either place means it. */
function readVisibility(spec: JsonObject, metadata: JsonObject): JobSpec['visibility'] {
  const field = member(spec, 'visibility');
  const visibility = readText(field, LIMITS.specWordBytes) ?? 'public';
  if (visibility !== 'public' && visibility !== 'private')
    throw refused(field, 'must be "public" or "private"');
  return metadata.get('visibility') === 'private' ? 'private' : visibility;
}

function readWallet(spec: JsonObject): PlainObject | undefined {
  const wallet = readObject(member(spec, 'wallet_auth'));
  return wallet.size === 0 ? undefined : toPlain(wallet);
}

/** Members of the contract that change nothing here still have their type. */
function checkUnused(spec: JsonObject): void {
  readInteger(member(spec, 'runs'), 0, MAX_INT32);
  readString(member(spec, 'signature'), LIMITS.specNameBytes);
  readString(member(spec, 'public_key'), LIMITS.specNameBytes);
  const created = member(spec, 'created_at');
  const createdAt = readText(created, LIMITS.specWordBytes);
  if (createdAt !== undefined && parseTime(createdAt) === undefined)
    throw refused(created, 'must be an RFC 3339 time');
}
