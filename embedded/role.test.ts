import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../test/support/temporary-folder.ts';
import { startRole } from './role.ts';

const TELLS_ITS_ENVIRONMENT = `
  process.once('disconnect', () => process.exit());
  process.send({ ready: true, arenas: process.env.MALLOC_ARENA_MAX, threads: process.env.UV_THREADPOOL_SIZE });
`;

async function environmentOf(env: NodeJS.ProcessEnv): Promise<object> {
  await using folder = await temporaryFolder();
  const [logs, run] = [path.join(folder.path, 'logs'), path.join(folder.path, 'run')];
  await Promise.all([mkdir(logs), mkdir(run)]);
  const command = { program: process.execPath, words: ['-e', TELLS_ITS_ENVIRONMENT] };
  const { signal } = new AbortController();
  const role = await startRole({ name: 'told', command, env, cwd: folder.path, logs, run, signal });
  await role.stop();
  return role.info;
}

test('a role has no more threads in its pool than the machine has cores, and few arenas', async () => {
  const { threads, ...rest } = (await environmentOf({})) as { threads: string };
  expect(rest).toEqual({ ready: true, arenas: '2' });
  expect(Number(threads)).toBeGreaterThanOrEqual(2);
  expect(Number(threads)).toBeLessThanOrEqual(Math.max(2, availableParallelism()));
});

test('what the operator sets goes before that', async () => {
  const env = { MALLOC_ARENA_MAX: '8', UV_THREADPOOL_SIZE: '16' };
  expect(await environmentOf(env)).toEqual({ ready: true, arenas: '8', threads: '16' });
});
