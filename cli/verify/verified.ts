import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Trust } from '../../domain/receipt/verdict.ts';
import type { VerifyOptions } from '../commands/verify.ts';
import type { Context } from '../context.ts';
import { CliError } from '../failure.ts';
import { readInput } from '../input.ts';
import type { Judged } from './online.ts';
import { trustForFile } from './trust.ts';
import { BUNDLE_BYTES, verifyBundleFile } from './verify-file.ts';

/** A bundle, and what checking it against `trust` said. */
export interface VerifiedBundle extends Judged {
  bytes: Uint8Array;
}

/**
 * Reads or fetches the bundle that `what` names and checks it: a file as it is, anything else from the API. What speaks to
 * the API is loaded only where it is needed, which is most of the time that checking a file would take.
 */
export async function verifiedBundle(
  context: Context,
  what: string,
  options: VerifyOptions,
): Promise<VerifiedBundle> {
  if (await isFile(context, what)) return verifiedFile(context, what, options);
  return (await import('./fetched.ts')).verifiedFetched(context, what, options);
}

async function isFile(context: Context, what: string): Promise<boolean> {
  if (what === '-' || /[/\\]/.test(what)) return true;
  const found = await stat(path.resolve(context.io.cwd, what)).catch(() => undefined);
  return found?.isFile() === true;
}

async function verifiedFile(context: Context, file: string, options: VerifyOptions): Promise<VerifiedBundle> {
  const bytes = await readInput(context, file, BUNDLE_BYTES);
  let trust: Trust = { vkeys: [] };
  try {
    trust = await trustForFile(context, options);
  } catch (thrown) {
    if (!(thrown instanceof CliError) || thrown.code !== 'trust_missing') throw thrown;
    // Whom to trust need not be asked for what is no bundle at all.
    const verdict = verifyBundleFile(bytes, trust);
    if (!verdict.ok && verdict.link === 'bundle') return { bytes, trust, verdict };
    throw thrown;
  }
  if (options.online !== true) return { bytes, trust, verdict: verifyBundleFile(bytes, trust) };
  const [{ connect }, { verifyOnline }] = await Promise.all([
    import('../http/api.ts'),
    import('./online.ts'),
  ]);
  const { client } = await connect(context);
  return { bytes, ...(await verifyOnline(context, client, bytes, trust, options)) };
}
