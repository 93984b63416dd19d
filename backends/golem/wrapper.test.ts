import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { unpackResult } from './outputs.ts';
import { placesIn, quoted, UNSUITABLE_EXIT, wrapperScript, type Program } from './wrapper.ts';

/** Runs the script for real and reads what it leaves. */
async function ran(program: Partial<Program>, env?: NodeJS.ProcessEnv) {
  await using folder = await temporaryFolder();
  const places = placesIn(path.join(folder.path, 'volume'));
  await mkdir(path.dirname(places.script));
  await writeFile(places.input, '{"question":"why?"}');
  const whole = { command: ['true'], environment: {}, seconds: 10, ...program };
  await writeFile(places.script, wrapperScript(whole, places));
  const exit = await new Promise<number>((resolve) => {
    const child = execFile('/bin/sh', [places.script], env === undefined ? {} : { env }, (error) =>
      resolve(error === null ? 0 : Number(error.code)),
    );
    child.stdin?.end();
  });
  if (exit !== 0) return { exit };
  const into = path.join(folder.path, 'into');
  await mkdir(into);
  const result = await unpackResult(places.result, into);
  const files = await readFile(path.join(result.folder, 'sub', 'a.txt'), 'utf8').catch(() => null);
  return {
    exit,
    code: result.exitCode,
    stdout: Buffer.from(result.stdout).toString(),
    stderr: Buffer.from(result.stderr).toString(),
    file: files,
  };
}

it('gives the program its input, its environment and its words as they are', async () => {
  const told = await ran({
    command: [
      'sh',
      '-c',
      'cat "$BEACON_INPUT"; printf "%s|%s" "$1" "$ODD" >&2',
      'sh',
      `it's "$HOME" \\ \n\``,
    ],
    environment: { ODD: `$(id) 'x' \n;` },
  });
  expect(told).toMatchObject({
    exit: 0,
    code: 0,
    stdout: '{"question":"why?"}',
    stderr: `it's "$HOME" \\ \n\`|$(id) 'x' \n;`,
  });
});

it('brings files and the exit code back, also of a program that fails', async () => {
  const command = [
    'sh',
    '-c',
    'mkdir "$BEACON_OUTPUT_DIR/sub"; echo a > "$BEACON_OUTPUT_DIR/sub/a.txt"; exit 3',
  ];
  expect(await ran({ command })).toMatchObject({ code: 3, file: 'a\n' });
});

it('ends a program that takes too long', async () => {
  const began = performance.now();
  expect(await ran({ command: ['sleep', '30'], seconds: 1 })).toMatchObject({ code: 124 });
  expect(performance.now() - began).toBeLessThan(8_000);
});

it('says so where the image has not what it needs', async () => {
  expect(await ran({}, { PATH: '/nowhere' })).toEqual({ exit: UNSUITABLE_EXIT });
});

it.each<[string, Partial<Program>, string]>([
  ['no command', { command: [] }, 'no_command'],
  ['a name that is none', { environment: { 'a b': '1' } }, 'work_invalid'],
  ["a name of Beacon's", { environment: { BEACON_INPUT: '/etc/passwd' } }, 'work_invalid'],
  ['a NUL', { command: ['a\0b'] }, 'work_invalid'],
])('refuses %s before anything costs', (_, program, code) => {
  const whole = { command: ['true'], environment: {}, seconds: 1, ...program };
  expect(() => wrapperScript(whole, placesIn('/golem/work'))).toThrow(
    expect.objectContaining({ failure: expect.objectContaining({ code }) }),
  );
});

it('quotes any word', () => {
  expect(quoted(`a'b`)).toBe(`'a'\\''b'`);
});
