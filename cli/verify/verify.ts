import { stat } from 'node:fs/promises';
import path from 'node:path';
import { isCid } from '../../domain/receipt/cid.ts';
import type { Verdict } from '../../domain/receipt/verdict.ts';
import type { VerifyOptions } from '../commands/verify.ts';
import type { Context } from '../context.ts';
import { CliError, EXIT } from '../failure.ts';
import { connect } from '../http/api.ts';
import { fetchBundle } from '../http/bundles.ts';
import { executionName } from '../http/execution-name.ts';
import { readInput, writeOutput } from '../input.ts';
import { verifyOnline } from './online.ts';
import { trustForApi, trustForFile, trustPath } from './trust.ts';
import { acceptedLines, rejectedLines } from './verdict-lines.ts';
import { BUNDLE_BYTES, verifyBundleFile } from './verify-file.ts';

/** `beacon verify`: a file is checked as it is; anything else is fetched as such a file and then checked the same way. */
export async function verify(context: Context, what: string, options: VerifyOptions): Promise<number> {
  const verdict = (await isFile(context, what))
    ? await verifyFile(context, what, options)
    : await verifyFetched(context, what, options);
  if (context.json) context.document(verdict);
  else {
    const lines = verdict.ok
      ? acceptedLines(verdict, context.colours)
      : rejectedLines(verdict, context.colours);
    for (const line of lines) context.line(line);
  }
  return verdict.ok ? EXIT.ok : EXIT.failed;
}

async function isFile(context: Context, what: string): Promise<boolean> {
  if (what === '-' || /[/\\]/.test(what)) return true;
  const found = await stat(path.resolve(context.io.cwd, what)).catch(() => undefined);
  return found?.isFile() === true;
}

async function verifyFile(context: Context, file: string, options: VerifyOptions): Promise<Verdict> {
  const bytes = await readInput(context, file, BUNDLE_BYTES);
  try {
    const trust = await trustForFile(context, options);
    if (options.online !== true) return verifyBundleFile(bytes, trust);
    const { client } = await connect(context);
    return await verifyOnline(context, client, bytes, trust, options);
  } catch (thrown) {
    if (!(thrown instanceof CliError) || thrown.code !== 'trust_missing') throw thrown;
    // Whom to trust need not be asked for what is no bundle at all.
    const verdict = verifyBundleFile(bytes, { vkeys: [] });
    if (!verdict.ok && verdict.link === 'bundle') return verdict;
    throw thrown;
  }
}

async function verifyFetched(context: Context, what: string, options: VerifyOptions): Promise<Verdict> {
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
  const trust = await trustForApi(context, api, options);
  const verdict = await verifyOnline(context, api.client, bytes, trust, options);
  if (!verdict.ok && verdict.link === 'checkpoint' && options.vkey === undefined) {
    context.note(
      `another log than the one pinned for ${api.address.url}? The pin stands in ${trustPath(context, options)}`,
    );
  }
  return demandSubject(verdict, name);
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
