import { verifyEd25519Fast } from '../../attestation/keys/libsodium.ts';
import { nodeSha256, verifyEd25519InPool } from '../../attestation/keys/node-verifiers.ts';
import { JobSpecError } from '../../domain/jobspec/error.ts';
import { parseJobSpec, type JobSpec } from '../../domain/jobspec/spec.ts';
import { JsonError } from '../../domain/json/error.ts';
import { isJsonObject, type JsonNode } from '../../domain/json/node.ts';
import { parseStrictJson } from '../../domain/json/parse.ts';
import type { Form } from '../../domain/signing/canonical.ts';
import { SigningError } from '../../domain/signing/error.ts';
import { decodePublicKey } from '../../domain/signing/public-key.ts';
import { verifySpecAsync } from '../../domain/signing/verify.ts';
import { ApiError } from '../errors.ts';
import { invalidJson } from '../plugins/body.ts';

/** What intake needs to know of a spec beside its bytes: small, whatever the spec is, so it may cross threads. */
export interface SpecFacts extends Pick<
  JobSpec,
  'id' | 'nonce' | 'constraints' | 'models' | 'questions' | 'visibility'
> {
  name: string;
  /** Standard base64, as it stands in the spec. */
  publicKey: string;
  hasMetadata: boolean;
  /** `metadata.timestamp`; null where there is none, false where it is no text. */
  timestamp: string | null | false;
}

export interface VerifiedBody {
  /** The first form under which the signature holds. */
  form: Form;
  /** The job's identity for replay is (public key, this). */
  messageSha256: Uint8Array;
  requestSha256: Uint8Array;
}

/** Form of the text, shape of every field, a key that is one. Throws ApiError. */
export function readSpec(raw: Uint8Array): { node: JsonNode; facts: SpecFacts } {
  if (raw.length === 0) throw new ApiError('invalid_body');
  return refusing(() => {
    const node = parseStrictJson(raw);
    const spec = parseJobSpec(node);
    const { id, nonce, constraints, models, questions, visibility } = spec;
    return {
      node,
      facts: {
        id,
        nonce,
        constraints,
        models,
        questions,
        visibility,
        name: spec.benchmark.name,
        publicKey: requireKey(node),
        hasMetadata: isJsonObject(node) && isJsonObject(node.get('metadata')),
        timestamp: readTimestamp(spec.metadata.timestamp),
      },
    };
  });
}

/**
 * The signature over what was received, before any default is filled: over the text of the first form in this thread,
 * over others in the runtime's pool, so that the event loop gets its turns between them. Rejects with an ApiError.
 */
export async function verifyBody(raw: Uint8Array, node: JsonNode): Promise<VerifiedBody> {
  try {
    let tried = 0;
    const { form, message } = await verifySpecAsync(node, (...signed) =>
      tried++ === 0 ? verifyEd25519Fast(...signed) : verifyEd25519InPool(...signed),
    );
    return { form, messageSha256: nodeSha256(message), requestSha256: nodeSha256(raw) };
  } catch (error) {
    throw refusal(error);
  }
}

/** Runs a check of the spec; what it refuses becomes an answer that names the field. */
export function refusing<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw refusal(error);
  }
}

function refusal(error: unknown): unknown {
  if (error instanceof JsonError) return invalidJson(error);
  if (error instanceof JobSpecError) {
    return new ApiError('validation_error', { message: error.message, details: { field: error.field } });
  }
  if (error instanceof SigningError) {
    return new ApiError(error.code, { message: error.message, details: { ...error.details } });
  }
  return error;
}

/** Signature and key are there, and the key is one. */
function requireKey(node: JsonNode): string {
  const read = (field: 'signature' | 'public_key'): string => {
    const value = isJsonObject(node) ? node.get(field) : undefined;
    if (typeof value === 'string' && value !== '') return value;
    throw new SigningError(`missing_field:${field}`, `${field} is required`, { field });
  };
  read('signature');
  const publicKey = read('public_key');
  decodePublicKey(publicKey);
  return publicKey;
}

function readTimestamp(value: unknown): SpecFacts['timestamp'] {
  if (value === undefined || value === null || value === '') return null;
  return typeof value === 'string' && value;
}
