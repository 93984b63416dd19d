import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { examples, type Run } from './run.ts';

/** `log`: what an operator does with the transparency log, at its database and its keys. */
export function logCommands(program: Command, run: Run): void {
  const log = program
    .command('log')
    .description(
      'the transparency log: its keys and its end (DATABASE_URL, or the stack of the state folder)',
    );
  examples(log, ['beacon log keys', 'beacon log rotate-receipt-key']);
  const command = (
    name: string,
    description: string,
    work: (context: Context, argument: string | undefined) => Promise<undefined>,
    argument?: [name: string, description: string],
  ): Command => {
    const made = log.command(name).description(description);
    if (argument !== undefined) made.argument(...argument);
    return made.action((...given: unknown[]) =>
      run(given.at(-1) as Command, (context) =>
        work(context, argument === undefined ? undefined : (given[0] as string | undefined)),
      ),
    );
  };

  examples(
    command('keys', 'the keys of the log, and where in it they start and end', async (context) =>
      (await import('../log/keys.ts')).logKeys(context),
    ),
    ['beacon log keys', 'beacon log keys --json'],
  );
  examples(
    command(
      'rotate-receipt-key',
      'start another receipt key; the one before vouches for it',
      async (context) => (await import('../log/receipt-key.ts')).rotateReceiptKey(context),
    ),
    ['beacon log rotate-receipt-key && beacon log end-receipt-key'],
  );
  examples(
    command(
      'end-receipt-key',
      'end an old receipt key: nothing that it signs is logged from then on',
      async (context, id) => (await import('../log/receipt-key.ts')).endOldReceiptKey(context, id),
      ['[key]', 'its id (default: the one before the current)'],
    ),
    ['beacon log end-receipt-key 5b9c12ab34cd56ef'],
  );
  examples(
    command(
      'rotate-log-key',
      'start another log key; both sign every checkpoint from then on',
      async (context) => (await import('../log/log-key.ts')).rotateLogKey(context),
    ),
    ['beacon log rotate-log-key'],
  );
  examples(
    command('retire-log-key', 'end the old log key: only the new one signs from then on', async (context) =>
      (await import('../log/log-key.ts')).retireLogKey(context),
    ),
    ['beacon log retire-log-key'],
  );
  examples(
    log
      .command('close')
      .description('end this log for ever, and begin another that names its last checkpoint')
      .option('--origin <origin>', 'of the log that follows (default: made)')
      .option('--yes', 'mean it')
      .action((options: { origin?: string; yes?: boolean }, command: Command) =>
        run(command, async (context) => (await import('../log/close.ts')).closeTheLog(context, options)),
      ),
    ['beacon log close --yes', 'beacon log close --origin beacon.example.com/log2 --yes'],
  );
}
