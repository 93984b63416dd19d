import { CommanderError, type Command } from 'commander';
import { CliError, EXIT, codeOf, fileReasonOf, reasonOf } from './failure.ts';
import { OutputGone, type Io } from './io.ts';
import { buildProgram } from './program.ts';
import { coloursFor } from './text/colour.ts';
import { printable, printableJson } from './text/printable.ts';

/**
 * Runs one `beacon` command line and answers its exit code (docs/cli.md). Never throws, never ends the process: the
 * caller does. `argv` is without the program's name.
 */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = buildProgram(io, argv.includes('--json'), (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (thrown) {
    return report(thrown, argv, io, () => commandNamed(program, argv));
  }
}

/** The command that `argv` leads to, as one would type it. */
function commandNamed(program: Command, argv: readonly string[]): string {
  let command = program;
  const words = [program.name()];
  for (const word of argv) {
    const next = command.commands.find((sub) => sub.name() === word);
    if (next === undefined) continue;
    command = next;
    words.push(word);
  }
  return words.join(' ');
}

function report(thrown: unknown, argv: readonly string[], io: Io, asked: () => string): number {
  if (thrown instanceof CommanderError) {
    // Help and version were printed already; a bare group (`beacon job`) printed its help as an answer to a mistake.
    if (thrown.exitCode === 0) return EXIT.ok;
    if (thrown.code === 'commander.help') return EXIT.usage;
  }
  const error = understand(thrown, asked);
  if (io.signal.aborted && error.code === 'interrupted') {
    return io.signal.reason instanceof OutputGone ? EXIT.ok : EXIT.interrupted;
  }
  if (argv.includes('--json')) {
    const { code, message, next, serverCode } = error;
    io.stderr.write(`${printableJson({ error: message, error_code: serverCode ?? code, next })}\n`);
  } else {
    const next = error.next === undefined ? '' : ` → ${error.next}`;
    const red = coloursFor(io.stderr, io.env).red;
    io.stderr.write(`${red('beacon:')} ${printable(`${error.message}${next}`)}\n`);
  }
  if (io.env.BEACON_DEBUG === '1') io.stderr.write(`${traceOf(thrown)}\n`);
  return error.exitCode;
}

function understand(thrown: unknown, asked: () => string): CliError {
  if (thrown instanceof CliError) return thrown;
  if (thrown instanceof CommanderError) {
    const message = thrown.message
      .replace(/^error: /, '')
      .replaceAll('\n', ' ')
      .replace(' is invalid. ', ' is invalid: ')
      .replace(/\.$/, '');
    return new CliError('usage', message, { next: `see \`${asked()} --help\`` });
  }
  const known = fromElsewhere(thrown);
  if (known !== undefined) return known;
  if (codeOf(thrown) === 'ABORT_ERR' || (thrown instanceof Error && thrown.name === 'AbortError')) {
    return new CliError('interrupted', 'interrupted', { cause: thrown });
  }
  if (thrown instanceof Error && 'path' in thrown && typeof thrown.path === 'string') {
    return new CliError('failed', `${thrown.path}: ${fileReasonOf(thrown)}`, { cause: thrown });
  }
  const next = 'this is a fault of beacon itself; BEACON_DEBUG=1 shows where';
  return new CliError('internal', reasonOf(thrown), { next, cause: thrown });
}

const NOT_REACHED = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EHOSTUNREACH', 'ETIMEDOUT']);

/** Errors of other parts that say what is wrong in one line already; known by name, so that nothing is loaded for it. */
function fromElsewhere(thrown: unknown): CliError | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const message = thrown.message.trim().replace(/\s*\n\s*/g, '; ');
  const code = codeOf(thrown) ?? '';
  if (thrown.name === 'SettingsError') {
    return new CliError('usage', message, { next: '`beacon config` shows every setting', cause: thrown });
  }
  if (thrown.name === 'EmbeddedError') {
    return new CliError(code === 'aborted' ? 'interrupted' : 'stack_failed', message, { cause: thrown });
  }
  // Parts of ours name their faults by a word; what has none is a surprise.
  if (/^[a-z]+(_[a-z]+)*$/.test(code)) return new CliError('failed', message, { cause: thrown });
  if (NOT_REACHED.has(code)) {
    const next = '`beacon config` shows the addresses in use';
    return new CliError('unreachable', reasonOf(thrown), { next, cause: thrown });
  }
  return undefined;
}

function traceOf(thrown: unknown): string {
  const lines: string[] = [];
  for (let at: unknown = thrown; at instanceof Error; at = at.cause) lines.push(at.stack ?? String(at));
  return lines.join('\ncaused by ');
}
