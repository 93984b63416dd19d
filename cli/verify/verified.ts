import { stat } from 'node:fs/promises';
import path from 'node:path';
import { isCid } from '../../domain/receipt/cid.ts';
import type { Trust, Verdict } from '../../domain/receipt/verdict.ts';
import type { VerifyOptions } from '../commands/verify.ts';
import type { Context } from '../context.ts';
import { CliError } from '../failure.ts';
import { connect } from '../http/api.ts';
import { fetchBundle } from '../http/bundles.ts';
import { executionName } from '../http/execution-name.ts';
import { readInput, writeOutput } from '../input.ts';
import { verifyOnline, type Judged } from './online.ts';
import { trustForApi, trustForFile, trustPath } from './trust.ts';
import { BUNDLE_BYTES, verifyBundleFile } from './verify-file.ts';

/** A bundle, and what checking it against `trust` said. */
export interface VerifiedBundle extends Judged {
  bytes: Uint8Array;
}

/** Reads or fetches the bundle that `what` names and checks it: a file as it is, anything else from the API. */
export async function verifiedBundle(
  context: Context,
  what: string,
  options: VerifyOptions,
): Promise<VerifiedBundle> {
  return (await isFile(context, what))
    ? verifiedFile(context, what, options)
    : verifiedFetched(context, what, options);
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
  const { client } = await connect(context);
  return { bytes, ...(await verifyOnline(context, client, bytes, trust, options)) };
}

async function verifiedFetched(
  context: Context,
  what: string,
  options: VerifyOptions,
): Promise<VerifiedBundle> {
  const api = await connect(context);
  const name = await executionName(api.client, what);
  const bytes = await fetchBundle(api.client, name).catch((thrown: unknown) => {
    // Known, but not in the log yet: the service's own words say it better.
    if (!(thrown instanceof CliError) || !UNKNOWN.has(thrown.serverCode)) throw thrown;
    throw new CliError('not_found', `"${name}" is no file here, and ${api.client.base} knows no such thing`, {
      next: 'beacon job list shows its jobs',
      cause: thrown,
    });
  });
  if (options.save !== undefined) await writeOutput(context, options.save, bytes);
  const trusted = await trustForApi(context, api, options);
  const { verdict, trust } = await verifyOnline(context, api.client, bytes, trusted, options);
  if (!verdict.ok && verdict.link === 'checkpoint' && options.vkey === undefined) {
    context.note(
      `another log than the one pinned for ${api.address.url}? The pin stands in ${trustPath(context, options)}`,
    );
  }
  return { bytes, trust, verdict: demandSubject(verdict, name) };
}

const UNKNOWN = new Set<string | undefined>([
  'job_not_found',
  'execution_not_found',
  'bundle_not_found',
  'proof_not_found',
]);

/** A service may not answer the question for one job with the good bundle of another. */
function demandSubject(verdict: Verdict, name: string): Verdict {
  if (!verdict.ok) return verdict;
  const { kind, jobId, summary, executions } = verdict;
  const [first] = executions;
  const named =
    kind === 'job'
      ? [jobId, summary?.cid]
      : [first?.receiptCid, first?.executionId, ...(/^\d+$/.test(name) ? [name] : [])];
  if (
    named.includes(name) ||
    (kind === 'execution' && !isCid(name) && first?.executionId === name.toLowerCase())
  ) {
    return verdict;
  }
  const reason = `the service answered with the bundle of ${kind} ${jobId ?? first?.executionId ?? ''}`;
  return { ok: false, link: 'bundle', where: '', reason };
}
