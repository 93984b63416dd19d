import type { Command } from 'commander';
import { examples, type Run } from './run.ts';

const WHICH = 'its id, its number, or JOB#N for the n-th of a job (#N in `job get` and `job watch`)';

/** `execution ...` and `receipt ...`. */
export function executionCommands(program: Command, run: Run): void {
  const execution = program.command('execution').description('executions: get, logs');
  const get = execution
    .command('get')
    .description('one execution in full')
    .argument('<execution>', WHICH)
    .action((id: string, _options, command: Command) =>
      run(command, async (context) => (await import('../jobs/execution.ts')).getExecution(context, id)),
    );
  examples(get, [
    'beacon execution get job-001#2',
    'beacon execution get 17',
    'beacon execution get 0193...',
  ]);

  const logs = execution
    .command('logs')
    .description('what the program wrote to stdout and stderr')
    .argument('<execution>', WHICH)
    .option('-f, --follow', 'go on until the execution ends')
    .action((id: string, options: { follow?: boolean }, command: Command) =>
      run(command, async (context) =>
        (await import('../jobs/execution-logs.ts')).showExecutionLogs(context, id, options.follow === true),
      ),
    );
  examples(logs, ['beacon execution logs 17', 'beacon execution logs 17 -f']);

  const receipt = program.command('receipt').description('receipts: get');
  const receiptGet = receipt
    .command('get')
    .description('the receipt of an execution, byte for byte as it was signed')
    .argument('<execution>', WHICH)
    .argument('[out]', 'a file (default: standard output)')
    .action((id: string, out: string | undefined, _options, command: Command) =>
      run(command, async (context) => (await import('../jobs/receipt.ts')).getReceipt(context, id, out)),
    );
  examples(receiptGet, ['beacon receipt get 17 | jq .region', 'beacon receipt get 17 receipt.json']);
}
