import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { contextOf } from './context.ts';
import type { Io } from './io.ts';
import { auditCommands } from './commands/audit.ts';
import { completionCommand } from './commands/completion.ts';
import { eraseCommands } from './commands/erase.ts';
import { executionCommands } from './commands/executions.ts';
import { exportCommands } from './commands/export.ts';
import { golemCommands } from './commands/golem.ts';
import { jobCommands } from './commands/jobs.ts';
import { keyCommands } from './commands/keys.ts';
import { ipfsCommands } from './commands/ipfs.ts';
import { logCommands } from './commands/log.ts';
import { machineCommands } from './commands/machine.ts';
import { roleCommands } from './commands/roles.ts';
import type { Run } from './commands/run.ts';
import { stackCommands } from './commands/stack.ts';
import { verifyCommands } from './commands/verify.ts';
import { printableJson } from './text/printable.ts';
import { witnessCommands } from './commands/witness.ts';

/**
 * The whole command line: names, options, help. What a command does is imported when it runs, so that `beacon --help`
 * and `beacon verify` start without loading a database client or Temporal. `json`: `--json` stands in the command line.
 */
export function buildProgram(io: Io, json: boolean, done: (exitCode: number) => void): Command {
  const program = new Command('beacon');
  program
    .description('Signed jobs in, signed receipts in a public Merkle log out.')
    .version(json ? printableJson({ version: version() }, 2) : version(), '--version', 'print the version')
    .option(
      '--api <url>',
      'the API (default: BEACON_API, else the stack of the state folder, else http://127.0.0.1:8090)',
    )
    .option('--json', 'machine-readable output: one JSON document, or JSON lines where output streams')
    .option('--state <dir>', 'state folder (default: BEACON_STATE, else .beacon)')
    .configureHelp({ showGlobalOptions: true, helpWidth: Math.min(io.stdout.columns(), 110) })
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      // Errors are told by command-line.ts, once, in one line.
      outputError: () => undefined,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpCommand(
      new Command('help').argument('[command]').description('help for a command').helpGroup('This machine:'),
    )
    .exitOverride();
  const run: Run = async (command, work) => done((await work(contextOf(io, command))) ?? 0);

  program.commandsGroup('Run a stack:');
  stackCommands(program, run);
  program.commandsGroup('Work with jobs:');
  keyCommands(program, run);
  jobCommands(program, run);
  executionCommands(program, run);
  verifyCommands(program, run);
  auditCommands(program, run);
  exportCommands(program, run);
  program.commandsGroup('This machine:');
  machineCommands(program, run);
  eraseCommands(program, run);
  completionCommand(program, run);
  program.commandsGroup('Operate the log:');
  logCommands(program, run);
  witnessCommands(program, run);
  ipfsCommands(program, run);
  program.commandsGroup('Operate Golem:');
  golemCommands(program, run);
  program.commandsGroup('Single roles (for production):');
  roleCommands(program, run);
  program.addHelpText(
    'after',
    `
Examples:
  beacon demo                         the whole way in one command, nothing left behind
  beacon up                           a stack in the foreground; Ctrl-C stops it
  beacon keygen && beacon sign examples/three-regions.json job.json
  beacon submit job.json --watch
  beacon job bundle job-001 b.json    everything that proves a job, in one file
  beacon verify b.json                checks it with the network off

Exit codes: 0 done · 1 it failed, or the verdict is negative · 2 wrong usage · 3 cannot reach the service
            4 the service refused · 5 the service failed · 130 interrupted   (docs/cli.md)`,
  );
  return program;
}

export function version(): string {
  // Beside the sources one folder up, beside dist/cli two.
  for (const up of ['../package.json', '../../package.json']) {
    try {
      const text = readFileSync(new URL(up, import.meta.url), 'utf8');
      const { version } = JSON.parse(text) as { version?: unknown };
      if (typeof version === 'string') return version;
    } catch {
      // Not at this depth.
    }
  }
  return 'unknown';
}
