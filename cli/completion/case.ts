import type { Flag, Level, Value } from './model.ts';

/** What the scripts of bash and zsh share: both walk over the words before the cursor with the same `case` branches. */

/** In single quotes, which keep everything but themselves. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** `job list`; empty for the program itself. */
export function placeOf({ path }: Level): string {
  return path.join(' ');
}

/** What matches an option of a command, or one that is the same at all of them. */
function patternsOf(level: Level, { names, everywhere }: Flag): string[] {
  return names.map((name) => (everywhere ? `*${quote(`|${name}`)}` : quote(`${placeOf(level)}|${name}`)));
}

/** Option names, by command, behind which a value follows. */
export function valueTakers(levels: readonly Level[], indent: string): string {
  const patterns = levels.flatMap((level) =>
    level.flags.filter(({ value }) => value !== undefined).flatMap((flag) => patternsOf(level, flag)),
  );
  return `${indent}${[...new Set(patterns)].join('|')}) option="$word" ;;`;
}

/** Options that stand behind every command. */
export function flagsEverywhere([program]: readonly Level[]): Flag[] {
  return program!.flags.filter(({ everywhere }) => everywhere);
}

/** The others. */
export function ownFlags({ flags }: Level): Flag[] {
  return flags.filter(({ everywhere }) => !everywhere);
}

/** Words that lead from a command to one below it. */
export function descents(levels: readonly Level[], indent: string): string {
  const known = new Set(levels.map(placeOf));
  return levels
    .flatMap((level) =>
      level.commands
        .map(({ name }) => ({ from: placeOf(level), name, to: [...level.path, name].join(' ') }))
        .filter(({ to }) => known.has(to))
        .map(({ from, name, to }) => `${indent}${quote(`${from}|${name}`)}) at=${quote(to)} ;;`),
    )
    .join('\n');
}

/** What is offered behind options; `offer` writes it in the words of the shell. */
export function optionValues(
  levels: readonly Level[],
  offer: (value: Value) => string,
  indent: string,
): string {
  const byOffer = new Map<string, Set<string>>();
  for (const level of levels) {
    for (const flag of level.flags) {
      if (flag.value === undefined || flag.value.kind === 'text') continue;
      const text = offer(flag.value);
      const patterns = byOffer.get(text) ?? new Set();
      for (const pattern of patternsOf(level, flag)) patterns.add(pattern);
      byOffer.set(text, patterns);
    }
  }
  return [...byOffer].map(([text, patterns]) => `${indent}${[...patterns].join('|')}) ${text} ;;`).join('\n');
}

/** What is offered as the n-th argument. */
export function positions(levels: readonly Level[], offer: (value: Value) => string, indent: string): string {
  return levels
    .flatMap((level) =>
      level.values.flatMap((value, nth) =>
        value.kind === 'text' ? [] : [`${indent}${quote(`${placeOf(level)}|${nth}`)}) ${offer(value)} ;;`],
      ),
    )
    .join('\n');
}
