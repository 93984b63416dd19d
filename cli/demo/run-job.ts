import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { LIMITS } from '../../domain/limits.ts';
import { JOB_BUNDLE, parseBundle, type JobBundle } from '../../domain/receipt/bundle.ts';
import type { Accepted } from '../../domain/receipt/verdict.ts';
import type { Context } from '../context.ts';
import { CliError } from '../failure.ts';
import { submitAnswer } from '../http/answers.ts';
import type { Api } from '../http/api.ts';
import { fetchJobBundle } from '../http/bundles.ts';
import { createClient } from '../http/client.ts';
import { operatorToken } from '../http/operator-token.ts';
import { readInput, writeOutput } from '../input.ts';
import { showProgress } from '../jobs/show-progress.ts';
import { createKeyFile } from '../keys/key-file.ts';
import { parseSpecFile, signTree, type SignedText } from '../keys/sign.ts';
import { packageRoot } from '../package-root.ts';
import { trustForApi, trustForFile } from '../verify/trust.ts';
import { verifyBundleFile } from '../verify/verify-file.ts';
import type { DemoOptions } from './demo.ts';
import type { DemoStack } from './demo-stack.ts';
import { executionResults, type ExecutionResult } from './result-lines.ts';
import type { Steps } from './steps.ts';

export interface DemoRun {
  jobId: string;
  /** How the job ended. */
  state: string;
  /** The bundle, and the key that it was checked against, relative to where the command was started. */
  file: string;
  trust: string;
  verdict: Accepted;
  results: ExecutionResult[];
}

/** Key, signature, submit, progress, bundle, offline verdict. Files lie in `runs/<job>` of the state folder. */
export async function runJob(
  context: Context,
  steps: Steps,
  stack: DemoStack,
  options: DemoOptions,
): Promise<DemoRun> {
  const { io } = context;
  const jobId = freshId(new Date());
  const folder = path.join(stack.stateDir, 'runs', jobId);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const shown = (file: string): string => path.relative(io.cwd, file) || file;
  const files = {
    key: path.join(folder, 'key.pem'),
    job: path.join(folder, 'job.json'),
    bundle: options.out === undefined ? path.join(folder, 'bundle.json') : path.resolve(io.cwd, options.out),
    trust: path.join(folder, 'trust.json'),
  };
  const token = await operatorToken({ io, stateDir: stack.stateDir }, stack.apiUrl);
  const api: Api = {
    address: { url: stack.apiUrl, source: 'stack' },
    logId: undefined,
    client: createClient(stack.apiUrl, io.signal, { token }),
    token,
    ticket: () => Promise.resolve(undefined),
  };

  const signed = await steps.run(
    'a key, and the example signed',
    () => signExample(context, options.spec, jobId, files),
    () => `signed ${jobId} with a fresh key`,
  );
  await steps.run(
    'submitted over HTTP',
    () => api.client.json('/api/v1/jobs', submitAnswer, { method: 'POST', body: Buffer.from(signed.text) }),
    ({ status = '' }) => `POST /api/v1/jobs: ${status}`,
  );
  const quiet = context.json;
  const { state } = await showProgress(context, api, jobId, { quiet });
  await steps.run('receipts, job summary and proofs fetched into one file', async () =>
    writeOutput(context, files.bundle, await fetchJobBundle(api.client, jobId)),
  );
  // The stack is this machine's own: its key of today is what the offline check trusts.
  await trustForApi({ ...context, note: () => undefined }, api, { trust: files.trust });
  const { verdict, results } = await steps.run(
    'verified from the file, offline',
    () => verifyOffline(context, files),
    ({ results: { length } }) =>
      `verified offline: spec, ${length} receipts, summary, proofs, checkpoint, completeness`,
  );
  return { jobId, state, file: shown(files.bundle), trust: shown(files.trust), verdict, results };
}

/** Fresh, and sorts by time. */
function freshId(now: Date): string {
  const time = now.toISOString().replace(/[-:]/g, '').slice(0, 15).replace('T', '-');
  return `demo-${time}-${randomBytes(3).toString('hex')}`;
}

async function signExample(
  context: Context,
  spec: string | undefined,
  id: string,
  files: { key: string; job: string },
): Promise<SignedText> {
  const file = spec ?? path.join(packageRoot(), 'examples', 'three-regions.json');
  const tree = parseSpecFile(await readInput(context, file, LIMITS.bodyBytes), file);
  const signed = signTree(tree, await createKeyFile(files.key), { id, fresh: true });
  await writeOutput(context, files.job, signed.text);
  return signed;
}

/** Nothing but the two files goes in: no client, no address. */
async function verifyOffline(
  context: Context,
  files: { bundle: string; trust: string },
): Promise<{ verdict: Accepted; results: ExecutionResult[] }> {
  const bytes = await readFile(files.bundle);
  const verdict = verifyBundleFile(bytes, await trustForFile(context, { trust: files.trust }));
  if (!verdict.ok) {
    const where = verdict.where === '' ? '' : ` (${verdict.where})`;
    throw new CliError(
      'failed',
      `not verified: the chain breaks at ${verdict.link}${where}: ${verdict.reason}`,
    );
  }
  return { verdict, results: executionResults(jobBundle(bytes), verdict) };
}

function jobBundle(bytes: Uint8Array): JobBundle {
  const bundle = parseBundle(bytes);
  if (bundle.media_type !== JOB_BUNDLE)
    throw new CliError('failed', 'the service answered with another bundle');
  return bundle;
}
