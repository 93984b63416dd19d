import type { Command } from 'commander';
import { examples, type Run } from './run.ts';

/** `doctor` and `config`. */
export function machineCommands(program: Command, run: Run): void {
  const doctor = program
    .command('doctor')
    .description('what is missing on this machine, and how to get it')
    .action((_options, command: Command) =>
      run(command, async (context) => (await import('../stack/doctor.ts')).doctor(context)),
    );
  examples(doctor, ['beacon doctor', "beacon doctor --json | jq '.checks[] | select(.ok | not)'"]);

  const config = program
    .command('config')
    .description('every setting: its value now, where it comes from; secrets are masked')
    .action((_options, command: Command) =>
      run(command, async (context) => (await import('../stack/config.ts')).config(context)),
    );
  examples(config, ['beacon config', 'beacon config --json']);
}
