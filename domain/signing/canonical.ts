import type { JsonObject } from '../json/node.ts';
import { writeJson, type JsonStyle } from '../json/write.ts';
import { dropsNothingMeant, prune } from './prune.ts';

/**
 * The texts over which clients have signed job specs, in the order in which they are tried (spec: beacon §2.2, 2.4).
 * Recorded with the job, in its receipts and in `beacon verify`'s answer.
 *
 * | form | keys | strings, numbers | signature, public_key | id | created_at |
 * |---|---|---|---|---|---|
 * | P1 | sorted (UTF-16) | plain: this is RFC 8785 | removed | removed | removed |
 * | P1-go | sorted (UTF-8) | Go | removed | removed | removed |
 * | P1-pruned, P1-pruned-go | as P1, P1-go, after dropping null, "", 0, {} | | | | |
 * | G1 | sorted (UTF-8) | Go | blanked | kept | kept |
 * | V0 | sorted (UTF-8) | Go | removed | kept | kept |
 * | V0-jcs | sorted (UTF-16) | plain: this is RFC 8785 | removed | kept | kept |
 * | G2 | sorted (UTF-8) | Go | blanked | removed | kept |
 * | G0 | order of the document | Go | blanked | kept | kept |
 *
 * V0-jcs is what `sign.ts` writes. Where two forms give the same bytes the earlier name is recorded.
 */
export const FORMS = ['P1', 'P1-go', 'P1-pruned', 'P1-pruned-go', 'G1', 'V0', 'V0-jcs', 'G2', 'G0'] as const;
export type Form = (typeof FORMS)[number];

const JCS: JsonStyle = { keys: 'utf16', values: 'plain' };
const GO_SORTED: JsonStyle = { keys: 'utf8', values: 'go' };
const GO_DOCUMENT: JsonStyle = { keys: 'document', values: 'go' };

const SIGNATURE_KEYS = ['signature', 'public_key'];
const P1_REMOVED = [...SIGNATURE_KEYS, 'id', 'created_at'];

/**
 * The text of `spec` in `form`, without trailing newline; undefined for a pruned form that would drop something meant.
 * `spec` is the tree as received, before any default is filled.
 */
export function canonicalText(form: Form, spec: JsonObject): string | undefined {
  switch (form) {
    case 'P1':
      return writeJson(without(spec, P1_REMOVED), JCS);
    case 'P1-go':
      return writeJson(without(spec, P1_REMOVED), GO_SORTED);
    case 'P1-pruned':
      return prunedText(spec, JCS);
    case 'P1-pruned-go':
      return prunedText(spec, GO_SORTED);
    case 'G1':
      return writeJson(blanked(spec), GO_SORTED);
    case 'V0':
      return writeJson(without(spec, SIGNATURE_KEYS), GO_SORTED);
    case 'V0-jcs':
      return writeJson(without(spec, SIGNATURE_KEYS), JCS);
    case 'G2':
      return writeJson(blanked(without(spec, ['id'])), GO_SORTED);
    case 'G0':
      return writeJson(blanked(spec), GO_DOCUMENT);
  }
}

/** A text that may have been signed, by the first form that gives it. */
export interface Candidate {
  form: Form;
  text: string;
}

/** Every distinct text of `spec`, in the order of FORMS: at most as many as there are forms, made as they are asked for. */
export function* candidateTexts(spec: JsonObject): Generator<Candidate, void> {
  const seen = new Set<string>();
  for (const form of FORMS) {
    const text = canonicalText(form, spec);
    if (text === undefined || seen.has(text)) continue;
    seen.add(text);
    yield { form, text };
  }
}

function prunedText(spec: JsonObject, style: JsonStyle): string | undefined {
  const { object, dropped } = prune(without(spec, P1_REMOVED));
  return dropsNothingMeant(dropped) ? writeJson(object, style) : undefined;
}

/** Top-level members only: a `signature` deeper down is content like any other. */
function without(spec: JsonObject, keys: readonly string[]): JsonObject {
  const rest = new Map(spec);
  for (const key of keys) rest.delete(key);
  return rest;
}

function blanked(spec: JsonObject): JsonObject {
  return new Map([...spec].map(([key, member]) => [key, SIGNATURE_KEYS.includes(key) ? '' : member]));
}
