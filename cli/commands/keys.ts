import type { Command } from 'commander';
import { examples, type Run } from './run.ts';

export interface SignOptions {
  key?: string;
  throwaway?: boolean;
  id?: string;
  fresh?: boolean;
}

/** `keygen` and `sign`. */
export function keyCommands(program: Command, run: Run): void {
  const keygen = program
    .command('keygen')
    .description('make an Ed25519 signing key; prints its public half')
    .option('--out <file>', 'where to put it (default: BEACON_KEY, else ~/.config/beacon/key.pem)')
    .action((options: { out?: string }, command: Command) =>
      run(command, async (context) => (await import('../keys/keygen.ts')).keygen(context, options)),
    );
  examples(keygen, ['beacon keygen', 'beacon keygen --out ./team.pem']);

  const sign = program
    .command('sign')
    .description('sign a job spec; what stands in it stays as written')
    .argument('<in>', 'the job spec, or - for standard input')
    .argument('[out]', 'the signed file (default: standard output)')
    .option('--key <file>', 'signing key (default: BEACON_KEY, else ~/.config/beacon/key.pem)')
    .option('--throwaway', 'sign with a fresh key that is forgotten afterwards')
    .option('--id <id>', 'put this job id in before signing')
    .option('--fresh', 'replace created_at, metadata.timestamp and metadata.nonce that are there already')
    .action((input: string, output: string | undefined, options: SignOptions, command: Command) =>
      run(command, async (context) =>
        (await import('../keys/sign.ts')).sign(context, input, output, options),
      ),
    );
  examples(sign, [
    'beacon sign examples/three-regions.json job.json',
    'beacon sign spec.json --throwaway --id try-1 | beacon submit -',
  ]);
}
