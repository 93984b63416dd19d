import type { Command } from 'commander';
import { examples, type Run } from './run.ts';

/** `golem ...` and `breakers ...`: what an operator asks and orders of the Golem Network. */
export function golemCommands(program: Command, run: Run): void {
  const golem = program.command('golem').description('the Golem Network: status, providers, explain');
  examples(
    golem
      .command('status')
      .description('yagna, wallet, money held and owed, and what the market offered, by region')
      .action((_options: object, command: Command) =>
        run(command, async (context) => (await import('../golem/status.ts')).golemStatus(context)),
      ),
    ['beacon golem status', 'beacon golem status --json | jq .market'],
  );
  examples(
    golem
      .command('providers')
      .description('who was a candidate in the last hour, with price, region and last refusal')
      .option('--region <region>', 'of this region alone')
      .action((options: { region?: string }, command: Command) =>
        run(command, async (context) =>
          (await import('../golem/providers.ts')).golemProviders(context, options.region),
        ),
      ),
    ['beacon golem providers --region EU'],
  );
  examples(
    golem
      .command('explain')
      .description('how providers were looked for: offers seen, dropped by which rule, who refused and why')
      .argument('<execution>', 'its id, its number, or JOB#N for the n-th of a job')
      .action((name: string, _options: object, command: Command) =>
        run(command, async (context) => (await import('../golem/explain.ts')).golemExplain(context, name)),
      ),
    ['beacon golem explain job-001#2', 'beacon golem explain 17 --json'],
  );

  const breakers = program.command('breakers').description('circuit breakers: list, open, reset');
  examples(
    breakers
      .command('list')
      .description('how they stand, over all processes')
      .action((_options: object, command: Command) =>
        run(command, async (context) => (await import('../golem/breakers.ts')).listBreakers(context)),
      ),
    ['beacon breakers list'],
  );
  examples(
    breakers
      .command('open')
      .description('keep calls from a dependency until a reset, such as while it is repaired')
      .argument('<name>', 'such as yagna')
      .action((name: string, _options: object, command: Command) =>
        run(command, async (context) =>
          (await import('../golem/breakers.ts')).orderBreakers(context, 'open', name),
        ),
      ),
    ['beacon breakers open yagna'],
  );
  examples(
    breakers
      .command('reset')
      .description('close them, whoever opened them')
      .argument('[name]', 'none: all')
      .action((name: string | undefined, _options: object, command: Command) =>
        run(command, async (context) =>
          (await import('../golem/breakers.ts')).orderBreakers(context, 'reset', name),
        ),
      ),
    ['beacon breakers reset', 'beacon breakers reset yagna'],
  );
}
