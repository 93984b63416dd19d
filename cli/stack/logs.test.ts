import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { recordedIo } from '../../test/support/recorded-io.ts';
import { main } from '../command-line.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'beacon-logs-'));
  await mkdir(path.join(folder, 'logs'));
  await writeFile(
    log('api'),
    '{"level":"info","time":"2026-01-01T10:00:01.000Z","role":"api","pid":1,"msg":"first","jobs":3}\n' +
      '{"level":"error","time":"2026-01-01T10:00:03.000Z","role":"api","pid":1,"msg":"third","err":{"message":"broke"}}\n',
  );
  await writeFile(
    log('postgres'),
    '2026-01-01 10:00:02.000 UTC [7] beacon LOG:  second\n\ta line that goes with it\n',
  );
  await writeFile(log('worker'), 'a bare line\u001b[2J\n');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const log = (role: string): string => path.join(folder, 'logs', `${role}.log`);

async function run(...argv: string[]) {
  const io = recordedIo({ cwd: folder });
  const code = await main(['logs', '--state', folder, ...argv], io);
  return { code, out: io.out(), err: io.err() };
}

test('puts the lines of all roles in the order of their times, readable and harmless', async () => {
  const { out } = await run();
  const lines = out.trimEnd().split('\n');
  expect(lines.map((line) => line.replace(/^\S+ +/, ''))).toEqual([
    'worker   a bare line\\x1b[2J',
    'api      info  first jobs=3',
    'postgres 2026-01-01 10:00:02.000 UTC [7] beacon LOG:  second',
    'postgres \ta line that goes with it',
    'api      error third err=broke',
  ]);
  expect(lines[1]).toMatch(/^10:00:01\.000 /);
});

test('--role and --since leave the rest out; a role without a log is a mistake', async () => {
  expect((await run('--role', 'api')).out.split('\n')).toHaveLength(3);
  expect((await run('--since', '2026-01-01T10:00:03Z')).out).toMatch(/^[^\n]*third[^\n]*\n$/);
  const { code, err } = await run('--role', 'nosuch');
  expect(code).toBe(2);
  expect(err).toContain('api, postgres, worker');
  expect((await run('--since', 'soon')).code).toBe(2);
});

test('--json gives each line as one object', async () => {
  const records = (await run('--json')).out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as object);
  expect(records[1]).toMatchObject({ role: 'api', msg: 'first', jobs: 3 });
  expect(records[2]).toMatchObject({ role: 'postgres', time: '2026-01-01T10:00:02.000Z' });
});

test('-f shows what is written later, also after the file was emptied, and ends with Ctrl-C', async () => {
  const io = recordedIo({ cwd: folder });
  const running = main(['logs', '--state', folder, '--role', 'worker', '-f'], io);
  const shows = (text: string) => vi.waitFor(() => expect(io.out()).toContain(text), { timeout: 5_000 });
  await shows('a bare line');
  await appendFile(log('worker'), 'later ');
  await appendFile(log('worker'), 'and whole\n');
  await shows('later and whole');
  await writeFile(log('worker'), 'new\n');
  await shows(' new\n');
  io.interrupt();
  expect(await running).toBe(130);
});

test('what cannot be read is said, not passed over', async () => {
  await mkdir(log('relay'));
  expect(await run()).toMatchObject({ code: 2, err: expect.stringContaining('relay.log: it is a folder') });
  const io = recordedIo({ cwd: folder });
  expect(await main(['logs', '--state', log('api')], io)).toBe(2);
  expect(io.err()).toContain('a part of its path is no folder');
});

test('a folder without logs says what to do', async () => {
  await rm(path.join(folder, 'logs'), { recursive: true });
  const { code, err } = await run();
  expect(code).toBe(2);
  expect(err).toContain('beacon up');
});
