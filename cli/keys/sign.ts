import { JsonError } from '../../domain/json/error.ts';
import { isJsonObject, toPlain, type JsonNode, type JsonObject } from '../../domain/json/node.ts';
import { parseStrictJson } from '../../domain/json/parse.ts';
import { LIMITS } from '../../domain/limits.ts';
import { signSpec } from '../../domain/signing/sign.ts';
import type { SignOptions } from '../commands/keys.ts';
import type { Context } from '../context.ts';
import { CliError } from '../failure.ts';
import { nameOf, readInput, writeOutput } from '../input.ts';
import { printable } from '../text/printable.ts';
import { completeSpec, type Completion } from './complete-spec.ts';
import { indentJson } from './indent-json.ts';
import { readKeyFile, throwawayKey, type SigningKey } from './key-file.ts';
import { signingKeyPath } from './key-path.ts';
import { unreadMembers } from './unread-members.ts';

/** `beacon sign`. */
export async function sign(
  context: Context,
  input: string,
  output: string | undefined,
  options: SignOptions,
): Promise<undefined> {
  if (options.key !== undefined && options.throwaway === true) {
    throw new CliError('usage', '--key and --throwaway exclude each other');
  }
  const spec = parseSpecFile(await readInput(context, input, LIMITS.bodyBytes), nameOf(input));
  const key =
    options.throwaway === true ? throwawayKey() : await readKeyFile(signingKeyPath(context.io, options.key));
  const unread = unreadMembers(spec);
  const { text, set } = signTree(spec, key, options);
  if (output !== undefined) await writeOutput(context, output, text);
  else if (!context.json) context.io.stdout.write(text);
  const id = textOf(spec, 'id') ?? textOf(spec, 'jobspec_id');
  const signed = { id, public_key: key.publicText, set, ignored: unread };
  if (context.json) {
    context.document({
      ...signed,
      file: output ?? null,
      ...(output === undefined ? { spec: toPlain(spec) } : {}),
    });
    return;
  }
  if (set.length > 0) context.note(`set: ${set.join(', ')}`);
  if (unread.length > 0)
    context.note(`no such member of a job, ignored: ${unread.map((path) => printable(path)).join(', ')}`);
  if (signed.id === undefined)
    context.note('the spec has no id; the service will make one (--id NAME gives it one)');
  if (output !== undefined) {
    const what = signed.id === undefined ? 'signed' : `signed ${printable(signed.id)}`;
    context.note(`${what} by ${key.publicText} → ${printable(output)}`);
  }
}

export interface SignedText {
  /** JSON with two spaces per level and a newline at the end. */
  text: string;
  /** What was put in before signing. */
  set: string[];
}

/** Completes and signs `spec` in place. */
export function signTree(spec: JsonObject, key: SigningKey, completion: Completion): SignedText {
  const set = completeSpec(spec, new Date(), completion);
  const signed = signSpec(toPlain(spec), key);
  spec.delete('signature');
  spec.delete('public_key');
  spec.set('signature', signed.signature as string);
  spec.set('public_key', signed.public_key as string);
  return { text: `${indentJson(spec)}\n`, set };
}

/** The tree of a job spec file; what the service would refuse as JSON is refused here, with the same words. */
export function parseSpecFile(bytes: Uint8Array, name: string): JsonObject {
  let node: JsonNode;
  try {
    node = parseStrictJson(bytes);
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    throw new CliError('input_invalid', `${name}: ${cause.message}`, { cause });
  }
  if (!isJsonObject(node)) throw new CliError('input_invalid', `${name}: a job spec is a JSON object`);
  return node;
}

/** A member that is a non-empty text. */
export function textOf(spec: JsonObject, key: string): string | undefined {
  const value = spec.get(key);
  return typeof value === 'string' && value !== '' ? value : undefined;
}
