import { execFileSync, spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { typescriptWords } from '../test/support/child-process.ts';
import { temporaryFolder } from '../test/support/temporary-folder.ts';

const MAIN = path.join(import.meta.dirname, 'main.ts');

function start(argv: string[], cwd: string) {
  const child = spawn(process.execPath, [...typescriptWords(MAIN), ...argv], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const text = { out: '', err: '' };
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text.err += chunk));
  const ended = new Promise<number | string | null>((resolve) => {
    child.once('close', (code, signal) => resolve(signal ?? code));
  });
  return { child, text, ended };
}

async function withLogs(folder: string, lines: number): Promise<void> {
  await mkdir(path.join(folder, '.beacon', 'logs'), { recursive: true });
  await writeFile(
    path.join(folder, '.beacon', 'logs', 'api.log'),
    `${'a line of the log '.repeat(100)}\n`.repeat(lines),
  );
}

test('when the reader of its output goes away, a command that goes on for ever ends quietly', async () => {
  await using folder = await temporaryFolder();
  await withLogs(folder.path, 100);
  const { child, text, ended } = start(['logs', '-f'], folder.path);
  await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
  child.stdout.destroy();
  await writeFile(path.join(folder.path, '.beacon', 'logs', 'api.log'), 'more\n'.repeat(200), { flag: 'a' });
  expect(await ended).toBe(0);
  expect(text.err).toBe('');
});

test('a long output arrives whole in a pipe although the process ends at once', async () => {
  await using folder = await temporaryFolder();
  await withLogs(folder.path, 200);
  const { child, ended } = start(['logs'], folder.path);
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (out += chunk));
  expect(await ended).toBe(0);
  expect(out.split('\n')).toHaveLength(201);
});

test('Ctrl-C ends a waiting command with code 130', async () => {
  await using folder = await temporaryFolder();
  await withLogs(folder.path, 1);
  const { child, text, ended } = start(['logs', '-f'], folder.path);
  await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
  child.kill('SIGINT');
  expect(await ended).toBe(130);
  expect(text.err).toBe('');
});

test('a FIFO that nobody writes to is refused, not waited for', async () => {
  await using folder = await temporaryFolder();
  const fifo = path.join(folder.path, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const refused = start(['verify', './fifo'], folder.path);
  expect(await refused.ended).toBe(2);
  expect(refused.text.err).toMatch(/no regular file → /);
});
