import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findTool } from '../find-tool.ts';
import { shippedProgramsFolder } from '../settings.ts';
import { programDigest, programDigests, readProgram } from './builtin.ts';

const shipped = shippedProgramsFolder();

test('the digest is that of the listing that sha256sum prints', async () => {
  const program = await readProgram(shipped, 'answer');
  const listing = execFileSync(
    'sh',
    ['-c', 'find . -type f | sed s,^./,, | LC_ALL=C sort | xargs sha256sum'],
    {
      cwd: join(shipped, 'answer'),
    },
  );
  expect(program.digest).toBe(`sha256:${createHash('sha256').update(listing).digest('hex')}`);
});

test('the digest does not depend on the order of the files, but on every name and byte', () => {
  const a = { path: 'a', bytes: Buffer.from('1') };
  const b = { path: 'run', bytes: Buffer.from('2') };
  expect(programDigest([a, b])).toBe(programDigest([b, a]));
  expect(programDigest([a, b])).not.toBe(programDigest([{ ...a, path: 'c' }, b]));
  expect(programDigest([a, b])).not.toBe(programDigest([a, { ...b, bytes: Buffer.from('3') }]));
});

test('a program with a link, without "run", or that does not exist is refused', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'beacon-builtins-'));
  await mkdir(join(folder, 'linked'));
  await writeFile(join(folder, 'linked', 'run'), '');
  await symlink('/etc/passwd', join(folder, 'linked', 'data'));
  await mkdir(join(folder, 'empty'));
  await expect(readProgram(folder, 'linked')).rejects.toMatchObject({ failure: { code: 'image_invalid' } });
  await expect(readProgram(folder, 'empty')).rejects.toMatchObject({ failure: { code: 'image_invalid' } });
  await expect(readProgram(folder, 'missing')).rejects.toMatchObject({
    failure: { code: 'image_unavailable' },
  });
});

test('every shipped program is a POSIX shell script', async () => {
  expect(Object.keys(await programDigests(shipped)).sort()).toEqual([
    'answer',
    'echo',
    'fail',
    'sleep',
    'word-count',
  ]);
  for (const name of await readdir(shipped))
    expect((await readFile(join(shipped, name, 'run'), 'utf8')).split('\n', 1)[0]).toBe('#!/bin/sh');
});

const shells: [tool: string, first: string[]][] = [
  ['sh', []],
  ['dash', []],
  ['busybox', ['sh']],
  ['bash', []],
];
describe.each(shells.filter(([tool]) => findTool(tool) !== null))('under %s', (tool, first) => {
  async function run(
    name: string,
    input: unknown,
    ...args: string[]
  ): Promise<{ stdout: string; output: string | null }> {
    const folder = await mkdtemp(join(tmpdir(), 'beacon-program-'));
    const file = join(folder, 'input.json');
    await writeFile(file, JSON.stringify(input));
    const stdout = execFileSync(tool, [...first, join(shipped, name, 'run'), ...args], {
      env: { PATH: '/usr/bin:/bin', BEACON_INPUT: file, BEACON_OUTPUT_DIR: folder },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return { stdout, output: await readFile(join(folder, 'output.json'), 'utf8').catch(() => null) };
  }

  test('answer counts and hashes exactly the question', async () => {
    const question = 'What "is" a\tcafé?\nBack\\slash / 100% $HOME `id` \\" end';
    const input = {
      input: { type: 'prompt', data: { prompt: 'ignored' }, hash: 'x' },
      model: 'llama-3',
      question,
    };
    expect(JSON.parse((await run('answer', input)).output!)).toEqual({
      answer: expect.stringMatching(
        /^The question has 10 words and \d+ bytes: what is a caf back slash 100 home id end$/,
      ),
      model: 'llama-3',
      question,
      question_sha256: createHash('sha256').update(question).digest('hex'),
      words: 10,
    });
  });

  test('answer takes the prompt where there is no question', async () => {
    const { output } = await run('answer', {
      input: { data: { prompt: 'Who are you?' } },
      model: null,
      question: null,
    });
    expect(JSON.parse(output!)).toMatchObject({ question: 'Who are you?', words: 3, model: '' });
  });

  test('echo, fail, sleep and word-count do what they are called', async () => {
    expect(JSON.parse((await run('echo', { a: [1, 'ä'] })).stdout)).toEqual({ a: [1, 'ä'] });
    await expect(run('fail', { input: { data: { code: 7 } } })).rejects.toMatchObject({ status: 7 });
    await expect(run('fail', {}, '5')).rejects.toMatchObject({ status: 5 });
    expect((await run('sleep', { input: { data: { seconds: 0.1 } } })).stdout).toBe('slept 0.1 s\n');
    expect(JSON.parse((await run('word-count', { a: 'two words' })).output!)).toEqual({
      lines: 0,
      words: 2,
      bytes: 17,
    });
  });
});
