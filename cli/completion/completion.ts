import type { Command } from 'commander';
import type { SHELLS } from '../commands/completion.ts';
import type { Context } from '../context.ts';
import { bashScript } from './bash.ts';
import { fishScript } from './fish.ts';
import { levelsOf, type Level } from './model.ts';
import { zshScript } from './zsh.ts';

type Shell = (typeof SHELLS)[number];

const SCRIPTS: Record<Shell, (name: string, levels: readonly Level[]) => string> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** `beacon completion`: the script, made from the commands that there are. */
export async function completion(context: Context, program: Command, shell: Shell): Promise<undefined> {
  const script = SCRIPTS[shell](program.name(), levelsOf(program));
  if (context.json) context.document({ shell, script });
  else context.io.stdout.write(script);
}
