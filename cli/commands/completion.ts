import { Argument, type Command } from 'commander';
import type { Run } from './run.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** `completion`. */
export function completionCommand(program: Command, run: Run): void {
  program
    .command('completion')
    .description('print a script that completes commands, options and values')
    .addArgument(new Argument('<shell>', 'for which shell').choices(SHELLS))
    .action((shell: (typeof SHELLS)[number], _options, command: Command) =>
      run(command, async (context) =>
        (await import('../completion/completion.ts')).completion(context, program, shell),
      ),
    )
    .addHelpText(
      'after',
      `
Examples:
  beacon completion bash

For this shell only:
  source <(beacon completion bash)      likewise zsh, after compinit
  beacon completion fish | source

For every shell from now on:
  bash  echo 'source <(beacon completion bash)' >> ~/.bashrc
  zsh   echo 'source <(beacon completion zsh)' >> ~/.zshrc        below the line with compinit
        or: beacon completion zsh > "\${fpath[1]}/_beacon"
  fish  beacon completion fish > ~/.config/fish/completions/beacon.fish

The script asks nobody while it completes; print it again after an update.`,
    );
}
