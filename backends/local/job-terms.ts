import type { Work } from '../backend.ts';
import { checkVariable, checkWord } from '../program-words.ts';
import { Refusal } from '../refusal.ts';
import { BOUNDS } from './bounds.ts';
import { capped, parseCpus, parseMemory } from './quantity.ts';
import type { LocalSettings } from './settings.ts';

/** What of a job's own words is applied to its sandbox, checked once, before anything is started. */
export interface JobTerms {
  command: string[];
  environment: Record<string, string>;
  memoryBytes: number;
  cpus: number;
  /** Null: as long as the attempt lasts. */
  cpuSeconds: number | null;
  pids: number;
}

const WORK_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$/;

/** The name becomes a folder, a control group and a container's name. */
export function checkedName(name: string): string {
  if (!WORK_NAME.test(name)) throw new Error('a work name must be usable as a file name');
  return name;
}

export function jobTerms(work: Work, settings: LocalSettings): JobTerms {
  return {
    command: checkedCommand(work.command),
    environment: checkedEnvironment(work.environment),
    memoryBytes: capped(
      asked(work.resources.memory, parseMemory, 'memory'),
      settings.memoryBytes,
      BOUNDS.minMemoryBytes,
      settings.maxMemoryBytes,
    ),
    cpus: capped(
      asked(work.resources.cpu, parseCpus, 'cpu'),
      settings.cpus,
      BOUNDS.minCpus,
      settings.maxCpus,
    ),
    cpuSeconds: settings.cpuSeconds,
    pids: settings.pids,
  };
}

/**
 * A bare process is the operator's own user where the worker is not root, and PATH, LD_PRELOAD, ENV, PS4 and their like
 * would make a listed program run others. No list of such names is complete, so none is taken.
 */
export function refuseEnvironment(terms: JobTerms): void {
  const [name] = Object.keys(terms.environment);
  if (name === undefined) return;
  throw new Refusal(
    'work_invalid',
    `environment: ${name} cannot be set, because an environment needs a sandbox and this machine runs the program as a bare process`,
  );
}

function asked(
  text: string | undefined,
  parse: (text: string) => number | null,
  what: string,
): number | null {
  if (text === undefined || text === '') return null;
  const value = parse(text);
  if (value === null)
    throw new Refusal('work_invalid', `resources.${what} is no quantity: ${JSON.stringify(text)}`);
  return value;
}

function checkedCommand(command: string[]): string[] {
  let bytes = 0;
  for (const word of command) {
    checkWord(word);
    bytes += Buffer.byteLength(word) + 1;
  }
  if (bytes > BOUNDS.commandBytes)
    throw new Refusal('work_invalid', `the command is longer than ${BOUNDS.commandBytes} bytes`);
  return command;
}

function checkedEnvironment(environment: Record<string, string>): Record<string, string> {
  // Without a prototype, so that `__proto__` is a name like any other.
  const checked = Object.create(null) as Record<string, string>;
  let bytes = 0;
  for (const [name, value] of Object.entries(environment)) {
    checkVariable(name, value);
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value) + 2;
    checked[name] = value;
  }
  if (bytes > BOUNDS.environmentBytes)
    throw new Refusal('work_invalid', `the environment is larger than ${BOUNDS.environmentBytes} bytes`);
  return checked;
}
