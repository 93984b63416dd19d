import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../test/support/temporary-folder.ts';
import { lockHolder, takeLock } from './folder-lock.ts';
import { identify } from './process-identity.ts';

const held = (fields: object) =>
  JSON.stringify({ token: 'x', purpose: 'beacon up', since: '2026-01-01T00:00:00Z', ...fields });

test('a second taker is refused and told who holds it; after the end it gets it', async () => {
  await using folder = await temporaryFolder();
  const file = path.join(folder.path, 'lock');
  {
    await using _lock = await takeLock(file, 'beacon up');
    await expect(takeLock(file, 'beacon up')).rejects.toMatchObject({
      code: 'state_locked',
      message: expect.stringContaining(`process ${process.pid}`),
    });
  }
  expect(await lockHolder(file)).toBeNull();
  await using _again = await takeLock(file, 'beacon up');
  expect(await readdir(folder.path)).toEqual(['lock']);
});

test.each([
  ['beacon up', 'stop it with "beacon down"'],
  ['beacon down', 'which ends by itself'],
  ['beacon witness', `stop it with "kill ${process.pid}"`],
])('whoever meets %s is told what ends that', async (purpose, said) => {
  await using folder = await temporaryFolder();
  const file = path.join(folder.path, 'lock');
  await using _lock = await takeLock(file, purpose);
  await expect(takeLock(file, 'beacon up')).rejects.toThrow(said);
});

test('the lock of a process that is gone is taken over, also when its number lives on', async () => {
  await using folder = await temporaryFolder();
  const file = path.join(folder.path, 'lock');
  const child = spawn('sleep', ['60']);
  const gone = identify(child.pid!)!;
  await writeFile(file, held(gone));
  expect(await lockHolder(file)).toMatchObject(gone);
  child.kill('SIGKILL');
  await once(child, 'exit');
  await (await takeLock(file, 'one'))[Symbol.asyncDispose]();

  await writeFile(file, held({ pid: process.ppid, started: 'long ago' }));
  await (await takeLock(file, 'two'))[Symbol.asyncDispose]();

  await writeFile(file, 'half a li');
  await using _lock = await takeLock(file, 'three');
});

test('of many that find a stale lock at once, one gets it', async () => {
  await using folder = await temporaryFolder();
  const file = path.join(folder.path, 'lock');
  await writeFile(file, held({ pid: process.ppid, started: 'long ago' }));
  const tries = await Promise.allSettled(Array.from({ length: 12 }, () => takeLock(file, 'race')));
  expect(tries.filter((each) => each.status === 'fulfilled')).toHaveLength(1);
});
