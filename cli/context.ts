import path from 'node:path';
import type { Command } from 'commander';
import { CliError } from './failure.ts';
import type { Io } from './io.ts';
import { coloursFor, type Colours } from './text/colour.ts';
import { printableJson } from './text/printable.ts';

/** What every command gets: the global options, and how to speak. */
export interface Context {
  io: Io;
  /** `--json`: standard output carries JSON and nothing else. */
  json: boolean;
  /** `--api`, when given. */
  api: string | undefined;
  /** Absolute path of the state folder. */
  stateDir: string;
  /** It was named, by `--state` or BEACON_STATE; else it is the default. */
  stateGiven: boolean;
  colours: Colours;
  /** One line for people on standard output. */
  line(text?: string): void;
  /** One line beside the result, on standard error, so that pipes stay clean. */
  note(text: string): void;
  /** The one JSON document of a command. */
  document(value: unknown): void;
  /** One of many JSON objects, one per line. */
  record(value: unknown): void;
}

interface GlobalOptions {
  json?: boolean;
  api?: string;
  state?: string;
}

export const DEFAULT_STATE_DIR = '.beacon';

export function contextOf(io: Io, command: Command): Context {
  const options = command.optsWithGlobals<GlobalOptions>();
  if (options.state === '') throw new CliError('usage', '--state names no folder');
  // As with every variable, an empty one counts as unset.
  const state = options.state ?? (io.env.BEACON_STATE === '' ? undefined : io.env.BEACON_STATE);
  return {
    io,
    json: options.json === true,
    api: options.api,
    stateDir: path.resolve(io.cwd, state ?? DEFAULT_STATE_DIR),
    stateGiven: state !== undefined,
    colours: coloursFor(io.stdout, io.env),
    line: (text = '') => io.stdout.write(`${text}\n`),
    note: (text) => io.stderr.write(`${text}\n`),
    document: (value) => io.stdout.write(`${printableJson(value, 2)}\n`),
    record: (value) => io.stdout.write(`${printableJson(value)}\n`),
  };
}
