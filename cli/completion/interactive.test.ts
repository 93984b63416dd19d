import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { recordedIo } from '../../test/support/recorded-io.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { main } from '../command-line.ts';

const runs = (...command: string[]): boolean =>
  spawnSync(command[0]!, command.slice(1), { stdio: 'ignore' }).status === 0;
/** `script` of util-linux gives a shell the terminal that completion needs. */
const hasTerminal = runs('script', '-qefc', 'true', '/dev/null');

const SHELLS = {
  bash: { interactive: 'bash --norc --noprofile -i', before: '' },
  zsh: { interactive: 'zsh -f -i', before: 'autoload -Uz compinit; compinit -u -D' },
};

/** What somebody types, and what is run then. */
const TYPED: [keys: string, argv: string[]][] = [
  ['job wat\tx1', ['job', 'watch', 'x1']],
  ['job list --status can\t', ['job', 'list', '--status', 'cancelled']],
  ['job list --status=can\t', ['job', 'list', '--status=cancelled']],
  ['--state=. job li\t', ['--state=.', 'job', 'list']],
  ['verify bun\t', ['verify', 'bundle one.json']],
  ['sub\tsp\t --wat\t', ['submit', 'spec.json', '--watch']],
  ['completion z\t', ['completion', 'zsh']],
  ['help exec\t', ['help', 'execution']],
];

describe.each(Object.entries(SHELLS))('%s on a terminal', (shell, { interactive, before }) => {
  test.skipIf(!hasTerminal || !runs(shell, '-c', 'true'))(
    'completes commands, options, values and files where somebody presses the tab key',
    async () => {
      await using folder = await temporaryFolder();
      const io = recordedIo({ cwd: folder.path, env: {} });
      expect(await main(['completion', shell], io)).toBe(0);
      const script = path.join(folder.path, 'completion.sh');
      await writeFile(script, io.out());
      const work = path.join(folder.path, 'work');
      await mkdir(work);
      for (const name of ['bundle one.json', 'spec.json']) await writeFile(path.join(work, name), '');
      const lines = [
        'PS1=',
        before,
        `source ${script}`,
        'beacon() { printf RAN; printf "[%s]" "$@"; echo; }',
        ...TYPED.map(([keys]) => `beacon ${keys}`),
        'exit',
      ];
      const { stdout } = spawnSync('script', ['-qefc', interactive, '/dev/null'], {
        cwd: work,
        input: `${lines.join('\n')}\n`,
        encoding: 'utf8',
        env: { ...process.env, TERM: 'dumb', HOME: folder.path },
        timeout: 25_000,
      });
      const ran = [...stdout.matchAll(/^RAN(\[.*\])\r?$/gm)].map(([, argv]) => argv);
      expect(ran).toEqual(TYPED.map(([, argv]) => argv.map((word) => `[${word}]`).join('')));
    },
  );
});
