import path from 'node:path';
import { nodeSha256, nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import { formatVkey, parseVkey, type NoteKey } from '../../domain/log/vkey.ts';
import type { LogLink } from '../../domain/receipt/bundle.ts';
import { followLogKey } from '../../domain/receipt/log-key-entry.ts';
import { BrokenLink, type Trust } from '../../domain/receipt/verdict.ts';
import type { VerifyOptions } from '../commands/verify.ts';
import type { Context } from '../context.ts';
import { CliError, reasonOf } from '../failure.ts';
import type { Api } from '../http/api.ts';
import { printable } from '../text/printable.ts';
import { receiptKeyIdOf } from './receipt-key.ts';
import { pinLog, pinMore, readTrustFile } from './trust-file.ts';

/** Whom a bundle file is checked against: `--vkey`, else every log that was pinned. Nothing that stands in the file. */
export async function trustForFile(context: Context, options: VerifyOptions): Promise<Trust> {
  if (options.vkey !== undefined) return withReceiptKey(context, options, [checkedVkey(options.vkey)]);
  const file = trustPath(context, options);
  const vkeys = (await readTrustFile(file)).flatMap((log) => log.vkeys);
  if (vkeys.length === 0) {
    throw new CliError('trust_missing', `no log is trusted yet (${file} pins none)`, {
      next: 'give its key with --vkey, or pin it once while the service can be reached: beacon verify JOB',
    });
  }
  return withReceiptKey(context, options, vkeys);
}

/**
 * Whom an answer of the API is checked against: `--vkey`, else what was pinned for this API, else its key of today,
 * which is pinned hereby and said aloud.
 */
export async function trustForApi(context: Context, api: Api, options: VerifyOptions): Promise<Trust> {
  if (options.vkey !== undefined) return withReceiptKey(context, options, [checkedVkey(options.vkey)]);
  const file = trustPath(context, options);
  const pinned = (await readTrustFile(file)).filter((log) => log.api === api.address.url);
  if (pinned.length > 0) {
    return withReceiptKey(
      context,
      options,
      pinned.flatMap((log) => log.vkeys),
    );
  }
  const { fetchVkeys } = await import('../http/log-keys.ts');
  const vkeys = (await fetchVkeys(api.client, api.logId)).map(checkedVkey);
  const origin = vkeys[0]?.split('+')[0] ?? '';
  await pinLog(file, { origin, vkeys, api: api.address.url, pinned_at: new Date().toISOString() });
  const shown = shownPath(context, file);
  for (const vkey of vkeys) {
    context.note(`first use of ${api.address.url}: its log key is pinned in ${shown}: ${printable(vkey)}`);
  }
  context.note(
    'compare it with what the operator publishes; from now on nothing else is accepted from this address',
  );
  return withReceiptKey(context, options, vkeys);
}

/**
 * The trust that follows from `trust` when the log was rotated to other keys: each is taken from the entry that a trusted
 * key signed, with its proof, and pinned once. Keys given by `--vkey` are followed too, but nothing is pinned for them.
 */
export async function followKeys(
  context: Context,
  options: VerifyOptions,
  trust: Trust,
  starts: readonly LogLink[],
): Promise<Trust> {
  const known = trust.vkeys.map((vkey) => parseVkey(vkey, nodeSha256));
  const found: string[] = [];
  for (const start of starts) {
    const next = followed(start, known);
    if (next === undefined || trust.vkeys.includes(next)) continue;
    known.push(parseVkey(next, nodeSha256));
    found.push(next);
  }
  if (found.length === 0) return trust;
  const file = trustPath(context, options);
  for (const vkey of found) {
    const kept = options.vkey === undefined ? ` and now pinned too in ${shownPath(context, file)}` : '';
    context.note(
      `the log was rotated to another key, which the old one vouches for${kept}: ${printable(vkey)}`,
    );
  }
  if (options.vkey === undefined) await pinMore(file, found);
  return { ...trust, vkeys: [...trust.vkeys, ...found] };
}

/** The key that an entry starts, if one of `known` vouches for it. */
function followed(start: LogLink, known: readonly NoteKey[]): string | undefined {
  try {
    return formatVkey(followLogKey(start, known, nodeVerifiers));
  } catch (thrown) {
    if (thrown instanceof BrokenLink) return undefined;
    throw thrown;
  }
}

function shownPath(context: Context, file: string): string {
  return path.relative(context.io.cwd, file) || file;
}

/** Where pinned keys are kept. */
export function trustPath(context: Context, options: VerifyOptions): string {
  return options.trust === undefined
    ? path.join(context.stateDir, 'trust.json')
    : path.resolve(context.io.cwd, options.trust);
}

async function withReceiptKey(context: Context, options: VerifyOptions, vkeys: string[]): Promise<Trust> {
  if (options.key === undefined) return { vkeys };
  return { vkeys, receiptKeyIds: [await receiptKeyIdOf(context, options.key)] };
}

function checkedVkey(vkey: string): string {
  try {
    parseVkey(vkey, nodeSha256);
  } catch (cause) {
    throw new CliError('usage', `"${vkey}" is not a verifier key: ${reasonOf(cause)}`, {
      next: 'expected name+id+key, as the service shows it',
      cause,
    });
  }
  return vkey;
}
