import * as script from './case.ts';
import type { Flag, Level, Value } from './model.ts';

/** A completion script for zsh, to be sourced after `compinit` or kept as `_<name>` in a folder of `fpath`. */
export function zshScript(name: string, levels: readonly Level[]): string {
  const fn = `_${name}`;
  const offer = (value: Value): string => {
    if (value.kind === 'words') return `compadd -- ${value.words.map(script.quote).join(' ')}`;
    return value.kind === 'folder' ? '_files -/' : '_files';
  };
  const flags = levels.map(
    (level) =>
      `      ${script.quote(script.placeOf(level))}) list=(${script.ownFlags(level).map(describedFlag).join(' ')}) ;;`,
  );
  const commands = levels
    .filter((level) => level.commands.length > 0)
    .map(
      (level) =>
        `    ${script.quote(`${script.placeOf(level)}|0`)}) list=(${level.commands.map(described).join(' ')}) ;;`,
    );

  return `#compdef ${name}
# zsh completion for ${name}
${fn}() {
  local at='' option='' plain='' word
  local -a list
  integer nth=0 i
  for ((i = 2; i < CURRENT; i++)); do
    word="\${words[i]}"
    if [[ -n $option ]]; then
      option=''
    elif [[ -z $plain && $word == -- ]]; then
      plain=1
    elif [[ -z $plain && $word == -?* ]]; then
      case "$at|$word" in
${script.valueTakers(levels, '        ')}
      esac
    else
      case "$at|$word" in
${script.descents(levels, '        ')}
        *) nth=nth+1 ;;
      esac
    fi
  done
  if [[ -z $option && -z $plain && $PREFIX == --*=* ]]; then
    option="\${PREFIX%%=*}"
    compset -P '*='
  fi
  case "$at|$option" in
${script.optionValues(levels, offer, '    ')}
  esac
  [[ -n $option ]] && return
  if [[ -z $plain && $PREFIX == -* ]]; then
    case "$at" in
${flags.join('\n')}
    esac
    list+=(${script.flagsEverywhere(levels).map(describedFlag).join(' ')})
    _describe -o option list
    return
  fi
  case "$at|$nth" in
${commands.join('\n')}
${script.positions(levels, offer, '    ')}
  esac
  (( \${#list} )) && _describe command list
}
if [[ "\${funcstack[1]}" == ${script.quote(fn)} ]]; then ${fn} "$@"; else compdef ${fn} ${name}; fi
`;
}

/** As `_describe` wants it: what stands before the first colon is offered. */
function described({ name, description }: { name: string; description: string }): string {
  return script.quote(`${name}:${description}`);
}

function describedFlag({ names, description }: Flag): string {
  return described({ name: names.at(-1)!, description });
}
