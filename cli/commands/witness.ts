import type { Command } from 'commander';
import { examples, type Run } from './run.ts';

const collect = (value: string, before: string[]): string[] => [...before, value];

/** `witness`: watches logs of others, and cosigns what continues what it saw. */
export function witnessCommands(program: Command, run: Run): void {
  examples(
    program
      .command('witness')
      .description('watch logs: cosign checkpoints that continue those seen before (C2SP tlog-witness)')
      .requiredOption('--name <name>', 'name of its key, best a place of yours, as witness.example.com')
      .option('--log <vkey>', 'verifier key of a log to watch; may be repeated', collect, [])
      .option('--policy <file>', 'a tlog-policy whose logs are watched; read again when it changes')
      .option('--listen <host:port>', 'where it answers', '127.0.0.1:8095')
      .action((options: WitnessOptions, command: Command) =>
        run(command, async (context) => (await import('../witness/serve.ts')).witness(context, options)),
      ),
    [
      "beacon witness --name witness.example.com --log 'beacon.example.com+3bf7b1ff+AR1…'",
      'beacon witness --name witness.example.com --policy logs.policy --listen 0.0.0.0:8095',
    ],
  );
}

export interface WitnessOptions {
  name: string;
  log: string[];
  policy?: string;
  listen: string;
}
