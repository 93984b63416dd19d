import type { Argument, Command, Option } from 'commander';

/** What may stand for an argument or behind an option. */
export type Value =
  | { kind: 'words'; words: readonly string[] }
  | { kind: 'file' }
  | { kind: 'folder' }
  /** Anything, nothing to offer. */
  | { kind: 'text' };

export interface Flag {
  /** `-f`, `--follow`. */
  names: readonly string[];
  /** Undefined: takes none. */
  value: Value | undefined;
  description: string;
  /** Handed down from the program, so on every command. */
  everywhere: boolean;
}

/** One command as a shell sees it. */
export interface Level {
  /** Words after the program's name; empty for the program itself. */
  path: readonly string[];
  commands: readonly { name: string; description: string }[];
  flags: readonly Flag[];
  /** In their order. */
  values: readonly Value[];
}

const FILE = /^(file|in|out|what)$/;
const FOLDER = /^(dir|folder)$/;

/** Every command of a program, parents first, as commander knows them: nothing is written down twice. */
export function levelsOf(program: Command): Level[] {
  const visit = (command: Command, path: readonly string[], inherited: readonly Option[]): Level[] => {
    const help = command.createHelp();
    const commands = help.visibleCommands(command);
    const options = help.visibleOptions(command);
    const level: Level = {
      path,
      commands: commands.map((child) => ({
        name: child.name(),
        description: firstLine(child.description()),
      })),
      flags: [
        ...options.map((option) => flagOf(option, path.length === 0 && isHandedDown(option))),
        ...inherited.map((option) => flagOf(option, true)),
      ],
      values: command.registeredArguments.map(valueOfArgument),
    };
    const handedDown = path.length === 0 ? options.filter(isHandedDown) : inherited;
    const below = commands
      .filter((child) => command.commands.includes(child) && child.name() !== 'help')
      .flatMap((child) => visit(child, [...path, child.name()], handedDown));
    return [level, ...below];
  };
  return withHelp(visit(program, [], []));
}

/** Options of the program stand behind its commands too; `--help` is every command's own, `--version` the program's. */
function isHandedDown({ long }: Option): boolean {
  return long !== '--help' && long !== '--version';
}

/** `help` takes the name of a command. */
function withHelp([root, ...others]: Level[]): Level[] {
  const words = root!.commands.map(({ name }) => name).filter((name) => name !== 'help');
  return [root!, { path: ['help'], commands: [], flags: [], values: [{ kind: 'words', words }] }, ...others];
}

function flagOf(option: Option, everywhere: boolean): Flag {
  const names = [option.short, option.long].filter((name) => name !== undefined);
  const takesValue = option.required || option.optional;
  const placeholder = /[<[]([\w-]+)/.exec(option.flags)?.[1] ?? '';
  return {
    names,
    value: takesValue ? valueNamed(placeholder, option.argChoices) : undefined,
    description: firstLine(option.description),
    everywhere,
  };
}

function valueOfArgument(argument: Argument): Value {
  return valueNamed(argument.name(), argument.argChoices);
}

function valueNamed(name: string, choices: readonly string[] | undefined): Value {
  if (choices !== undefined) return { kind: 'words', words: choices };
  if (FILE.test(name)) return { kind: 'file' };
  return FOLDER.test(name) ? { kind: 'folder' } : { kind: 'text' };
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]!;
}
