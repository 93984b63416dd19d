import path from 'node:path';
import { readSettings } from '../../config/settings.ts';
import { EXIT, CliError, reasonOf } from '../failure.ts';
import type { Context } from '../context.ts';
import { commandName } from '../command-name.ts';
import { feedUrl } from '../http/address.ts';
import { printable } from '../text/printable.ts';
import { demoGolem } from './golem.ts';
import { packageRoot } from '../package-root.ts';
import { demoStack, type DemoStack } from './demo-stack.ts';
import { answerLines, cautions, resultLines } from './result-lines.ts';
import { runJob, type DemoRun } from './run-job.ts';
import { createSteps, type Steps } from './steps.ts';

export interface DemoOptions {
  keep?: boolean;
  backend?: 'local' | 'golem';
  spec?: string;
  out?: string;
}

const golemExample = (): string => path.join(packageRoot(), 'examples', 'golem-regions.json');

/** `beacon demo`: the whole way of a job, each step on the screen. Leaves nothing running unless asked to. */
export async function demo(context: Context, options: DemoOptions): Promise<number> {
  readSettings(context.io.env);
  const keep = options.keep === true;
  const steps = createSteps(context);
  await using golem =
    options.backend === 'golem'
      ? await steps.run('yagna, the daemon of Golem', (progress) => demoGolem(context, keep, progress))
      : undefined;
  const stack = await steps.run(
    'the stack: PostgreSQL, Temporal, API, worker, relay',
    (progress) => demoStack(context, keep, progress, golem?.env),
    ({ apiUrl, found }) => (found ? `the stack that runs at ${apiUrl}` : `the stack is up at ${apiUrl}`),
  );
  let run: DemoRun;
  try {
    const spec = options.spec ?? (golem === undefined ? undefined : golemExample());
    run = await runJob(context, steps, stack, { ...options, ...(spec === undefined ? {} : { spec }) });
  } catch (thrown) {
    await stop(steps, stack);
    throw withLogs(thrown, stack);
  }
  if (context.json) context.document(documentOf(stack, run));
  else for (const line of closingLines(context, stack, run)) context.line(line);
  if (stack.found || keep) {
    const command = `${commandName()} down --state ${path.relative(context.io.cwd, stack.stateDir)}`;
    context.note(
      stack.found ? 'the stack ran before and is left as it was' : `the stack stays up; stop it: ${command}`,
    );
  } else {
    await stop(steps, stack);
  }
  if (run.state === 'completed') return EXIT.ok;
  throw new CliError('failed', `the job ended ${run.state}; its receipts verify, and say why`, {
    next: `logs: ${stack.logs}`,
  });
}

async function stop(steps: Steps, stack: DemoStack): Promise<void> {
  if (stack.found) return;
  await steps.run(
    'stopping the stack',
    () => stack.stop(),
    () => 'stopped; nothing is left running',
  );
}

function documentOf(stack: DemoStack, run: DemoRun): object {
  const { apiUrl, temporalUi } = stack;
  return {
    job_id: run.jobId,
    status: run.state,
    bundle: run.file,
    verdict: run.verdict,
    executions: run.results,
    api: apiUrl,
    feed: feedUrl(apiUrl),
    temporal_ui: temporalUi,
  };
}

function closingLines(
  context: Context,
  stack: DemoStack,
  { results, verdict, file, trust }: DemoRun,
): string[] {
  const { colours } = context;
  const warned = cautions(results, context);
  return [
    '',
    ...resultLines(results, context),
    '',
    ...answerLines(results, context),
    '',
    `${colours.green('VERIFIED OFFLINE')}: job spec, ${results.length} receipts, job summary, log proofs, checkpoint`,
    `  log    ${printable(verdict.origin)}, ${verdict.treeSize} entries`,
    `  root   ${verdict.root}`,
    `  file   ${file}`,
    `  again  ${commandName()} verify ${file} --trust ${trust}`,
    ...(warned.length === 0 ? [] : ['', ...warned]),
    '',
    `  API          ${stack.apiUrl}`,
    `  feed         ${feedUrl(stack.apiUrl)}`,
    `  Temporal UI  ${stack.temporalUi ?? 'none (not ours)'}`,
    '',
  ];
}

/** The reason stays; where to look further is added. */
function withLogs(thrown: unknown, stack: DemoStack): unknown {
  if (thrown instanceof CliError && thrown.code === 'interrupted') return thrown;
  const code = thrown instanceof CliError ? thrown.code : 'failed';
  return new CliError(code, reasonOf(thrown), { next: `logs: ${stack.logs}`, cause: thrown });
}
