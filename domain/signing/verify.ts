import type { Verifiers } from '../crypto.ts';
import { utf8 } from '../encoding.ts';
import { isJsonObject, type JsonNode, type JsonObject } from '../json/node.ts';
import { candidateTexts, type Candidate, type Form } from './canonical.ts';
import { SigningError } from './error.ts';
import { decodePublicKey, decodeSignature } from './public-key.ts';

export interface VerifiedSpec {
  /** The first form under which the signature holds. */
  form: Form;
  /** The bytes that were signed: the job's identity for replay is (public key, hash of these). */
  message: Uint8Array;
  /** Standard base64, as it stands in the spec. */
  publicKey: string;
}

/**
 * Checks the Ed25519 signature of a job spec on the tree of the bytes received, before any default is filled. At most
 * one verification per distinct canonical text (nine). `likely`: the form that somebody says it was; its text is tried
 * first and decides nothing more. Throws SigningError.
 */
export function verifySpec(
  node: JsonNode,
  verifyEd25519: Verifiers['verifyEd25519'],
  likely?: string,
): VerifiedSpec {
  for (const { candidate, ...tried } of signedCandidates(node, likely)) {
    if (verifyEd25519(tried.key, candidate.message, tried.signature)) return candidate;
  }
  throw mismatch();
}

/** The same with a verification that may take its time. */
export async function verifySpecAsync(
  node: JsonNode,
  verifyEd25519: (
    publicKey: Uint8Array,
    message: Uint8Array,
    signature: Uint8Array,
  ) => boolean | Promise<boolean>,
): Promise<VerifiedSpec> {
  for (const { candidate, ...tried } of signedCandidates(node)) {
    if (await verifyEd25519(tried.key, candidate.message, tried.signature)) return candidate;
  }
  throw mismatch();
}

const mismatch = () => new SigningError('signature_mismatch', 'signature verification failed');

interface SignedCandidate {
  candidate: VerifiedSpec;
  key: Uint8Array;
  signature: Uint8Array;
}

/** What may have been signed, each to be verified before the next is made. */
function* signedCandidates(node: JsonNode, likely?: string): Generator<SignedCandidate, void> {
  if (!isJsonObject(node))
    throw new SigningError('canonicalization_error', 'a job spec must be a JSON object');
  const signatureText = requireText(node, 'signature');
  const publicKey = requireText(node, 'public_key');
  const key = decodePublicKey(publicKey);
  const signature = decodeSignature(signatureText);
  for (const { form, text } of likelyFirst(candidateTexts(node), likely)) {
    yield { candidate: { form, message: utf8(text), publicKey }, key, signature };
  }
}

/** All of `candidates`, the one of the form `likely` before all others, where there is one. */
function* likelyFirst(
  candidates: Iterable<Candidate>,
  likely: string | undefined,
): Generator<Candidate, void> {
  const others: Candidate[] = [];
  for (const candidate of candidates) {
    if (likely === undefined || candidate.form === likely) yield candidate;
    else others.push(candidate);
  }
  yield* others;
}

function requireText(spec: JsonObject, field: 'signature' | 'public_key'): string {
  const value = spec.get(field);
  if (typeof value === 'string' && value !== '') return value;
  throw new SigningError(`missing_field:${field}`, `${field} is required`, { field });
}
