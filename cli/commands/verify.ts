import { Option, type Command } from 'commander';
import { examples, type Run } from './run.ts';

export interface VerifyOptions {
  vkey?: string;
  key?: string;
  trust?: string;
  save?: string;
  online?: boolean;
}

/** `verify`. */
export function verifyCommands(program: Command, run: Run): void {
  const verify = program
    .command('verify')
    .description('check the whole chain from the signed spec to the signed checkpoint')
    .argument('<what>', 'a bundle file (works with the network off), or an execution, job or CID of the API')
    .option('--vkey <key>', "the log's verifier key to trust (name+id+key)")
    .addOption(
      new Option('--key <file>', 'the receipt key to trust (PEM); else the log itself vouches for it'),
    )
    .option('--trust <file>', 'pinned keys (default: trust.json in the state folder; pinned at first use)')
    .option('--save <file>', 'keep the fetched bundle')
    .option('--online', 'for a file: also ask the service for keys that ended, and follow a new log key')
    .action((what: string, options: VerifyOptions, command: Command) =>
      run(command, async (context) => (await import('../verify/verify.ts')).verify(context, what, options)),
    );
  examples(verify, [
    'beacon verify job-001.bundle.json --vkey "beacon.example/log+5b9c...+AW..."',
    'beacon verify job-001              fetches the bundle of a job, then checks it the same way',
    'beacon verify bafkrei... --json    exit code 1 when any link does not hold',
  ]);
}
