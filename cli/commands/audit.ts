import { InvalidArgumentError, type Command } from 'commander';
import { examples, type Run } from './run.ts';

export interface AuditOptions {
  db?: boolean;
  vkey?: string;
  trust?: string;
  memory?: string;
  sinceLast?: boolean;
}

export interface MonitorOptions extends AuditOptions {
  every: number;
  once?: boolean;
}

const DEFAULT_EVERY_S = 10;

/** `audit` and `monitor`. */
export function auditCommands(program: Command, run: Run): void {
  const audit = withTrust(
    program
      .command('audit')
      .description('read a whole log, build it again and compare all of it; says what is wrong and where')
      .argument('[url]', 'a log (C2SP tlog-tiles); default the API')
      .option(
        '--db',
        'the database itself, with receipts, executions and blocks (DATABASE_URL, or the stack here)',
      )
      .option('--since-last', 'only what came since the last audit that was finished'),
  ).action((url: string | undefined, options: AuditOptions, command: Command) =>
    run(command, async (context) => (await import('../audit/audit.ts')).audit(context, url, options)),
  );
  examples(audit, [
    'beacon audit https://beacon.example --vkey "beacon.example+5b9c...+AW..."',
    'beacon audit --db                  exit code 1 when anything is wrong',
  ]);

  const monitor = withTrust(
    program
      .command('monitor')
      .description('watch a log: every new head must continue the one before')
      .argument('[url]', 'a log (C2SP tlog-tiles); default the API')
      .option('--every <seconds>', 'time between two looks', seconds, DEFAULT_EVERY_S)
      .option('--once', 'look once, for a timer'),
  ).action((url: string | undefined, options: MonitorOptions, command: Command) =>
    run(command, async (context) => (await import('../audit/monitor.ts')).monitor(context, url, options)),
  );
  examples(monitor, [
    'beacon monitor https://beacon.example     goes on until the log is rewound or forked: exit code 1',
    'beacon monitor --once                     from cron; the last head is kept in the state folder',
  ]);
}

function withTrust(command: Command): Command {
  return command
    .option('--vkey <key>', "the log's verifier key to trust (name+id+key)")
    .option('--trust <file>', 'pinned keys (default: trust.json in the state folder; pinned at first use)')
    .option(
      '--memory <file>',
      'what is kept of the log between two looks (default: watched/ in the state folder)',
    );
}

function seconds(text: string): number {
  const value = Number(text);
  if (!(value >= 1 && value <= 86_400)) throw new InvalidArgumentError('seconds from 1 to 86400.');
  return value;
}
