import type { Command, Option } from 'commander';
import type { Context } from '../context.ts';

/** Runs the work of the command that was chosen and keeps its exit code; nothing returned means 0. */
export type Run = (
  command: Command,
  work: (context: Context) => Promise<number | undefined>,
) => Promise<void>;

/** Words that help and completion name; whether others are known is for the command, or the service, to say. */
export function offering(option: Option, words: readonly string[]): Option {
  option.argChoices = [...words];
  return option;
}

/** Adds examples below a command's help. */
export function examples(command: Command, lines: readonly string[]): Command {
  return command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`);
}
