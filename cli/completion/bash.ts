import * as script from './case.ts';
import type { Flag, Level, Value } from './model.ts';

/**
 * A completion script for bash 3.2 and later, without bash-completion. It walks over the words before the cursor to learn
 * which command they name, then offers that command's words; nothing typed is evaluated, and no process is started.
 */
export function bashScript(name: string, levels: readonly Level[]): string {
  const fn = `_${name}`;
  const offer = (value: Value): string => {
    if (value.kind === 'words') return `${fn}_words ${script.quote(value.words.join(' '))}`;
    return value.kind === 'folder' ? `${fn}_folders` : `${fn}_files`;
  };
  const longest = ({ names }: Flag): string => names.at(-1)!;
  const flags = levels.map((level) => {
    const own = script.ownFlags(level).map(longest).join(' ');
    return `      ${script.quote(script.placeOf(level))}) ${fn}_words ${script.quote(`${own} `)}"$everywhere" ;;`;
  });
  const commands = levels
    .filter((level) => level.commands.length > 0)
    .map((level) => {
      const words = level.commands.map((command) => command.name).join(' ');
      return `    ${script.quote(`${script.placeOf(level)}|0`)}) ${fn}_words ${script.quote(words)} ;;`;
    });

  return `# bash completion for ${name}
${fn}_words() { local IFS=$' \\n'; COMPREPLY=($(compgen -W "$1" -- "$cur")); }
${fn}_files() { compopt -o default 2>/dev/null || { local IFS=$'\\n'; COMPREPLY=($(compgen -f -- "$cur")); }; }
${fn}_folders() { compopt -o dirnames 2>/dev/null || { local IFS=$'\\n'; COMPREPLY=($(compgen -d -- "$cur")); }; }

${fn}() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" at='' option='' plain='' nth=0 i word
  local everywhere=${script.quote(script.flagsEverywhere(levels).map(longest).join(' '))}
  COMPREPLY=()
  [[ $cur == '=' ]] && cur=''
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    if [[ -n $option ]]; then
      # bash takes --option=value apart.
      [[ $word == '=' ]] || option=''
    elif [[ -z $plain && $word == -- ]]; then
      plain=1
    elif [[ -z $plain && $word == -?* ]]; then
      case "$at|$word" in
${script.valueTakers(levels, '        ')}
      esac
    else
      case "$at|$word" in
${script.descents(levels, '        ')}
        *) nth=$((nth + 1)) ;;
      esac
    fi
  done
  case "$at|$option" in
${script.optionValues(levels, offer, '    ')}
  esac
  [[ -n $option ]] && return
  if [[ -z $plain && $cur == -* ]]; then
    case "$at" in
${flags.join('\n')}
    esac
    return
  fi
  case "$at|$nth" in
${commands.join('\n')}
${script.positions(levels, offer, '    ')}
  esac
}
complete -F ${fn} ${name}
`;
}
