import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { recordedIo } from '../../test/support/recorded-io.ts';
import { main } from '../command-line.ts';

async function scriptFor(shell: string): Promise<string> {
  const io = recordedIo({ cwd: '/', env: {} });
  expect(await main(['completion', shell], io)).toBe(0);
  return io.out();
}

/** What a real bash offers with the cursor behind the last of these words. */
async function offered(...words: string[]): Promise<string[]> {
  const asked = `${await scriptFor('bash')}
compopt() { return 1; }
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_beacon
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const out = execFileSync('bash', ['--norc', '-c', asked, 'bash', 'beacon', ...words], { encoding: 'utf8' });
  return out.split('\n').filter((line) => line !== '');
}

describe('bash', () => {
  test('offers commands and those below them', async () => {
    expect(await offered('')).toEqual(
      expect.arrayContaining(['up', 'submit', 'job', 'verify', 'completion']),
    );
    expect(await offered('ver')).toEqual(['verify']);
    expect(await offered('job', '')).toEqual(expect.arrayContaining(['list', 'get', 'watch', 'cancel']));
    expect(await offered('--json', 'job', 'wa')).toEqual(['watch']);
  });

  test('offers the options of the command and the values that an option knows', async () => {
    expect(await offered('job', 'list', '--statu')).toEqual(['--status']);
    expect(await offered('job', 'list', '--status', 'c')).toEqual(['completed', 'cancelled']);
    expect(await offered('logs', '--role', 'te')).toEqual(['temporal']);
    expect(await offered('completion', '')).toEqual(['bash', 'zsh', 'fish']);
    expect(await offered('submit', '--')).toContain('--wait');
    expect(await offered('job', 'list', '--')).not.toContain('--wait');
  });

  test('nothing that was typed is run', async () => {
    expect(await offered('job', '$(touch /tmp/beacon-completion-ran)', 'x')).toEqual([]);
    expect(spawnSync('test', ['-e', '/tmp/beacon-completion-ran']).status).toBe(1);
  });
});

const installed = (shell: string): boolean => spawnSync(shell, ['-c', 'true']).status === 0;

test.skipIf(!installed('zsh'))('zsh reads its script without complaint', async () => {
  const checked = spawnSync('zsh', ['-f', '-n'], { input: await scriptFor('zsh'), encoding: 'utf8' });
  expect(checked).toMatchObject({ status: 0, stderr: '' });
});

test.skipIf(!installed('fish'))('fish offers commands and values', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'beacon-completion-'));
  try {
    const script = path.join(folder, 'beacon.fish');
    await writeFile(script, await scriptFor('fish'));
    const offers = (line: string): string[] =>
      execFileSync('fish', ['--no-config', '-c', 'source $argv[1]; complete -C $argv[2]', script, line], {
        encoding: 'utf8',
        env: { ...process.env, HOME: folder },
      })
        .split('\n')
        .map((offer) => offer.split('\t')[0]!)
        .filter((offer) => offer !== '');
    expect(offers('beacon ver')).toEqual(['verify']);
    expect(offers('beacon job list --status ca')).toEqual(['cancelled']);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('an unknown shell is refused with the ones that there are', async () => {
  const io = recordedIo({ cwd: '/', env: {} });
  expect(await main(['completion', 'tcsh'], io)).not.toBe(0);
  expect(io.err()).toMatch(/bash, zsh, fish/);
});
