/**
 * The container contract inside a Golem activity, which knows neither an environment nor exit codes: a script for `sh` is
 * brought there with the input, runs the command under `timeout`, and puts exit code, output streams and files into one
 * tar. It uses nothing of the image but `sh`, `tar` and `timeout`.
 */
import { posix } from 'node:path';
import { LIMITS, MIB } from '../../domain/limits.ts';
import { checkVariable, checkWord } from '../program-words.ts';
import { Refusal } from '../refusal.ts';

export interface Places {
  input: string;
  script: string;
  output: string;
  result: string;
}

/** All that is told outside: the volume is the activity's own, so the names need not differ between attempts. */
export function placesIn(volume: string): Places {
  const at = (name: string): string => posix.join(volume, name);
  return {
    input: at('beacon-input.json'),
    script: at('beacon-run.sh'),
    output: at('beacon-output'),
    result: at('beacon-result.tar'),
  };
}

/** Exit codes of the script itself; the program's own stands in the tar. */
export const UNSUITABLE_EXIT = 97;
/** One file of the program, stdout and stderr among them. */
const FILE_BYTES = LIMITS.filesBytes;
/** What comes back: files, streams, headers. */
const RESULT_BYTES = FILE_BYTES * 2 + 8 * MIB;
/** POSIX counts file sizes in these. */
const BLOCK_BYTES = 512;
/** How long a program that was told to end may take for it. */
const KILL_AFTER_SECONDS = 5;

const SCRIPT_BYTES = 512 * 1024;

export interface Program {
  command: readonly string[];
  environment: Readonly<Record<string, string>>;
  seconds: number;
}

export function wrapperScript({ command, environment, seconds }: Program, places: Places): string {
  if (command.length === 0)
    throw new Refusal(
      'no_command',
      'container.command is empty, and the entry point of an image is not run on Golem',
    );
  const exports = Object.entries(environment).map(([name, value]) => {
    checkVariable(name, value);
    return `export ${name}=${quoted(value)}`;
  });
  command.forEach(checkWord);
  const script = `#!/bin/sh
for tool in tar timeout; do
  command -v "$tool" >/dev/null 2>&1 || { echo "$tool" >&2; exit ${UNSUITABLE_EXIT}; }
done
place=${quoted(places.output)}
mkdir -p "$place/out" && cd "$place" || exit ${UNSUITABLE_EXIT}
(
cd out
export BEACON_INPUT=${quoted(places.input)} BEACON_OUTPUT_DIR="$place/out"
${exports.join('\n')}
ulimit -f ${Math.floor(FILE_BYTES / BLOCK_BYTES)}
exec timeout -k ${KILL_AFTER_SECONDS} ${seconds} ${command.map(quoted).join(' ')}
) </dev/null >stdout 2>stderr
echo $? >exit
ulimit -f ${Math.floor(RESULT_BYTES / BLOCK_BYTES)}
tar -cf ${quoted(places.result)} exit stdout stderr out || exit ${UNSUITABLE_EXIT}
`;
  if (Buffer.byteLength(script) > SCRIPT_BYTES)
    throw new Refusal('work_invalid', `command and environment are larger than ${SCRIPT_BYTES} bytes`);
  return script;
}

/** One word for `sh`, whatever stands in it. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
