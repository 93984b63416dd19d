import { Option, type Command } from 'commander';
import type { DemoOptions } from '../demo/demo.ts';
import { examples, offering, type Run } from './run.ts';

/** What the stack starts; each has a log. */
const LOGGED_ROLES = ['api', 'worker', 'golem', 'relay', 'postgres', 'temporal'] as const;

/** `up`, `down`, `status`, `logs`, `demo`: a whole stack on this machine. */
export function stackCommands(program: Command, run: Run): void {
  const up = program
    .command('up')
    .description('run the whole stack in the foreground: PostgreSQL, Temporal, API, worker, relay')
    .action((_options, command: Command) =>
      run(command, async (context) => (await import('../stack/up.ts')).up(context)),
    );
  examples(up, [
    'beacon up                   state under .beacon, found again at the next start',
    'beacon up --state /srv/b    another state folder',
    'DATABASE_URL=... beacon up  with a PostgreSQL that is there already (TEMPORAL_ADDRESS likewise)',
  ]);

  const down = program
    .command('down')
    .description('stop the stack of the state folder and wait until it is gone')
    .action((_options, command: Command) =>
      run(command, async (context) => (await import('../stack/down.ts')).down(context)),
    );
  examples(down, ['beacon down', 'beacon down --state .beacon/demo']);

  const status = program
    .command('status')
    .description('which parts run, where, and how they are')
    .action((_options, command: Command) =>
      run(command, async (context) => (await import('../stack/status.ts')).status(context)),
    );
  examples(status, ['beacon status', "beacon status --json | jq '.services[].status'"]);

  const logs = program
    .command('logs')
    .description('what the roles of the stack wrote')
    .addOption(offering(new Option('--role <name>', 'only this role'), LOGGED_ROLES))
    .option('--since <time>', 'from then on: 90s, 10m, 2h, 1d ago, or an RFC 3339 time')
    .option('-f, --follow', 'go on until Ctrl-C')
    .action((options: { role?: string; since?: string; follow?: boolean }, command: Command) =>
      run(command, async (context) => (await import('../stack/logs.ts')).logs(context, options)),
    );
  examples(logs, ['beacon logs --since 10m', 'beacon logs --role worker -f']);

  const demo = program
    .command('demo')
    .description('boot a stack, run a signed example job, verify its receipts offline, stop again')
    .option('--keep', 'leave the stack running afterwards')
    .addOption(
      offering(
        new Option(
          '--backend <kind>',
          'where the job runs; golem is an emulated network without GOLEM_API_KEY',
        ),
        ['local', 'golem'],
      ),
    )
    .option('--spec <file>', 'another unsigned job spec than the example')
    .option('--out <file>', 'where the job bundle goes (default: inside the state folder)')
    .action((options: DemoOptions, command: Command) =>
      run(command, async (context) => (await import('../demo/demo.ts')).demo(context, options)),
    );
  examples(demo, ['beacon demo', 'beacon demo --keep', 'npm run demo -- --backend golem']);
}
