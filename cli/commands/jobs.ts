import { InvalidArgumentError, Option, type Command } from 'commander';
import { JOB_STATES } from '../../domain/states.ts';
import { examples, offering, type Run } from './run.ts';

export interface SubmitOptions {
  wait?: boolean;
  watch?: boolean;
  idOnly?: boolean;
  dryRun?: boolean;
  idempotencyKey?: string;
}

export interface JobListOptions {
  limit: number;
  status?: string;
  cursor?: string;
}

const PAGE_MAX = 200;

function pageSize(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= PAGE_MAX) return value;
  throw new InvalidArgumentError(`expected a whole number from 1 to ${PAGE_MAX}`);
}

/** `submit` and `job ...`. */
export function jobCommands(program: Command, run: Run): void {
  const submit = program
    .command('submit')
    .description('send a signed job spec')
    .argument('<file>', 'the signed file, or - for standard input')
    .addOption(new Option('--wait', 'wait for the end, quietly; exit 1 when it did not complete'))
    .addOption(new Option('--watch', 'show its progress until the end').conflicts('wait'))
    .addOption(new Option('--id-only', 'print nothing but the job id').conflicts(['watch', 'wait']))
    .addOption(
      new Option('--dry-run', 'check shape, signature and plan here; send nothing').conflicts([
        'wait',
        'watch',
        'idOnly',
      ]),
    )
    .option('--idempotency-key <key>', 'sent as Idempotency-Key: the same key and body submit once')
    .action((file: string, options: SubmitOptions, command: Command) =>
      run(command, async (context) => (await import('../jobs/submit.ts')).submit(context, file, options)),
    );
  examples(submit, [
    'beacon submit job.json --watch',
    'id=$(beacon submit job.json --id-only)',
    'beacon submit job.json --dry-run',
  ]);

  const job = program.command('job').description('jobs: list, get, watch, cancel, bundle');
  const list = job
    .command('list')
    .description('newest first')
    .option('--limit <n>', 'how many', pageSize, 20)
    .addOption(offering(new Option('--status <state>', 'only these'), JOB_STATES))
    .option('--cursor <cursor>', 'go on from where the last page ended')
    .action((options: JobListOptions, command: Command) =>
      run(command, async (context) => (await import('../jobs/list.ts')).listJobs(context, options)),
    );
  examples(list, ['beacon job list', 'beacon job list --status failed --limit 100']);

  const get = job
    .command('get')
    .description('a job and its executions')
    .argument('<job>')
    .action((id: string, _options, command: Command) =>
      run(command, async (context) => (await import('../jobs/get.ts')).getJob(context, id)),
    );
  examples(get, ['beacon job get job-001', 'beacon job get job-001 --json | jq .executions']);

  const watch = job
    .command('watch')
    .description('live progress until the job ends; exit 1 when it did not complete')
    .argument('<job>')
    .action((id: string, _options, command: Command) =>
      run(command, async (context) => (await import('../jobs/watch.ts')).watchJob(context, id)),
    );
  examples(watch, ['beacon job watch job-001', 'beacon job watch job-001 --json   # one event per line']);

  const cancel = job
    .command('cancel')
    .description('ask for the end of a job; needs its key, or the operator token of this machine')
    .argument('<job>')
    .option(
      '--key <file>',
      'the key that signed the job (default: BEACON_KEY, else ~/.config/beacon/key.pem)',
    )
    .action((id: string, options: { key?: string }, command: Command) =>
      run(command, async (context) => (await import('../jobs/cancel.ts')).cancelJob(context, id, options)),
    );
  examples(cancel, ['beacon job cancel job-001', 'beacon job cancel job-001 --key ./team.pem']);

  const bundle = job
    .command('bundle')
    .description('everything that proves an ended job, in one file that `beacon verify` checks offline')
    .argument('<job>')
    .argument('[out]', 'the file (default: standard output)')
    .action((id: string, out: string | undefined, _options, command: Command) =>
      run(command, async (context) => (await import('../jobs/bundle.ts')).bundleJob(context, id, out)),
    );
  examples(bundle, ['beacon job bundle job-001 job-001.bundle.json && beacon verify job-001.bundle.json']);
}
