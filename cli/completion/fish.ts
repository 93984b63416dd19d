import { flagsEverywhere, ownFlags, placeOf } from './case.ts';
import type { Flag, Level, Value } from './model.ts';

/** A completion script for fish 3. */
export function fishScript(name: string, levels: readonly Level[]): string {
  const complete = `complete -c ${name}`;
  const lines = levels.flatMap((level) => {
    const at = `-n ${quote(`__${name}_at ${quote(placeOf(level))}`)}`;
    const nth = (index: number): string =>
      `-n ${quote(`__${name}_nth ${quote(`${placeOf(level)}|${index}`)}`)}`;
    return [
      ...level.commands.map(
        (command) => `${complete} ${nth(0)} -a ${quote(command.name)} -d ${quote(command.description)}`,
      ),
      ...level.values.flatMap((value, index) =>
        value.kind === 'text' ? [] : [`${complete} ${nth(index)} ${offer(value)}`],
      ),
      ...ownFlags(level).map((flag) => `${complete} ${at} ${flagWords(flag)}`),
    ];
  });
  return `# fish completion for ${name}
# Which command the words before the cursor name, "|", and how many arguments follow it.
function __${name}_state
    set -l at ''
    set -l option ''
    set -l plain ''
    set -l nth 0
    for word in (commandline -opc)[2..-1]
        if test -n "$option"
            set option ''
        else if test -z "$plain"; and test "$word" = --
            set plain 1
        else if test -z "$plain"; and string match -q -- '-?*' "$word"
            switch "$at|$word"
                case ${takers(levels)}
                    set option $word
            end
        else
            switch "$at|$word"
${descents(levels)}
                case '*'
                    set nth (math $nth + 1)
            end
        end
    end
    echo "$at|$nth"
end
function __${name}_nth
    test (__${name}_state) = "$argv[1]"
end
function __${name}_at
    string match -q -- "$argv[1]|*" (__${name}_state)
end

complete -c ${name} -e
complete -c ${name} -f
${flagsEverywhere(levels)
  .map((flag) => `${complete} ${flagWords(flag)}`)
  .join('\n')}
${lines.join('\n')}
`;
}

/** fish escapes a quote inside quotes by a backslash, and a backslash too. */
function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function offer(value: Value): string {
  if (value.kind === 'words') return `-a ${quote(value.words.join(' '))}`;
  return value.kind === 'folder' ? `-a '(__fish_complete_directories)'` : '-F';
}

function flagWords({ names, value, description }: Flag): string {
  const words = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  if (value !== undefined) words.push('-r', value.kind === 'text' ? '-f' : offer(value));
  return [...words, '-d', quote(description)].join(' ');
}

function takers(levels: readonly Level[]): string {
  return levels
    .flatMap((level) =>
      level.flags
        .filter(({ value }) => value !== undefined)
        .flatMap(({ names }) => names.map((name) => quote(`${placeOf(level)}|${name}`))),
    )
    .join(' ');
}

function descents(levels: readonly Level[]): string {
  return levels
    .slice(1)
    .map(({ path }) => {
      const from = quote(`${path.slice(0, -1).join(' ')}|${path.at(-1)!}`);
      return `                case ${from}\n                    set at ${quote(path.join(' '))}`;
    })
    .join('\n');
}
