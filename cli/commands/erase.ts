import { Option, type Command } from 'commander';
import { examples, type Run } from './run.ts';

export interface EraseOptions {
  reason: string;
  job?: boolean;
}

/** `erase`: an operator's command, at the database. */
export function eraseCommands(program: Command, run: Run): void {
  const erase = program
    .command('erase')
    .description('remove what is left of an execution, and log a signed entry that says so (at the database)')
    .argument('<execution>', 'its id, its number, or JOB#N; with --job the id of a job')
    .addOption(new Option('--reason <text>', 'stands in the public log').makeOptionMandatory())
    .option('--job', 'all executions of a job, and its signed spec')
    .action((what: string, options: EraseOptions, command: Command) =>
      run(command, async (context) => (await import('../log/erase.ts')).erase(context, what, options)),
    );
  examples(erase, [
    'beacon erase 17 --reason "request of the data subject"',
    'beacon erase job-001 --job --reason "published by mistake"',
  ]);
}
