import { isCid } from '../../domain/receipt/cid.ts';
import type { Verdict } from '../../domain/receipt/verdict.ts';
import type { VerifyOptions } from '../commands/verify.ts';
import type { Context } from '../context.ts';
import { CliError } from '../failure.ts';
import { connect } from '../http/api.ts';
import { fetchBundle } from '../http/bundles.ts';
import { executionName } from '../http/execution-name.ts';
import { writeOutput } from '../input.ts';
import { verifyOnline } from './online.ts';
import { trustForApi, trustPath } from './trust.ts';
import type { VerifiedBundle } from './verified.ts';

/** The bundle of what `what` names at the API, checked. */
export async function verifiedFetched(
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
  const { kind, jobId, summary, executions, erased = [] } = verdict;
  const [first] = kind === 'erased' ? erased : executions;
  const named =
    kind === 'job'
      ? [jobId, summary?.cid]
      : [first?.receiptCid, first?.executionId, ...(/^\d+$/.test(name) ? [name] : [])];
  if (named.includes(name) || (kind !== 'job' && !isCid(name) && first?.executionId === name.toLowerCase())) {
    return verdict;
  }
  const reason = `the service answered with the bundle of ${kind} ${jobId ?? first?.executionId ?? ''}`;
  return { ok: false, link: 'bundle', where: '', reason };
}
