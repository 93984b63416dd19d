import path from 'node:path';
import { nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import { parseVkey } from '../../domain/log/vkey.ts';
import type { Trust } from '../../domain/receipt/verdict.ts';
import type { VerifyOptions } from '../commands/verify.ts';
import type { Context } from '../context.ts';
import { CliError, reasonOf } from '../failure.ts';
import type { Api } from '../http/api.ts';
import { fetchVkeys } from '../http/log-keys.ts';
import { printable } from '../text/printable.ts';
import { receiptKeyIdOf } from './receipt-key.ts';
import { pinLog, readTrustFile } from './trust-file.ts';

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
  const vkeys = (await fetchVkeys(api.client)).map(checkedVkey);
  const origin = vkeys[0]?.split('+')[0] ?? '';
  await pinLog(file, { origin, vkeys, api: api.address.url, pinned_at: new Date().toISOString() });
  const shown = path.relative(context.io.cwd, file) || file;
  for (const vkey of vkeys) {
    context.note(`first use of ${api.address.url}: its log key is pinned in ${shown}: ${printable(vkey)}`);
  }
  context.note(
    'compare it with what the operator publishes; from now on nothing else is accepted from this address',
  );
  return withReceiptKey(context, options, vkeys);
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
