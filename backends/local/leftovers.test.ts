import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { newWork, runAttempt, scriptProgram, silent, stateFolder } from '../../test/backends/stand.ts';
import { eventually } from '../../test/support/eventually.ts';
import { createLocalBackend, localSettings, programDigests } from './index.ts';
import { createJobFolder } from './job-folder.ts';
import { markOf } from './leftovers.ts';
import { MARKER } from './process-table.ts';
import { stateId } from './settings.ts';

const state = await stateFolder();
const programsFolder = join(state.path, 'own-programs');
await scriptProgram(programsFolder);
const settings = localSettings({
  stateFolder: state.path,
  programsFolder,
  isolation: 'process',
  engineSockets: [],
  processDigests: Object.values(await programDigests(programsFolder)),
});
afterAll(() => state[Symbol.asyncDispose]());

/** What a worker that was killed leaves: a folder, and a bare process that nobody waits for. */
async function abandoned(
  name: string,
): Promise<{ folder: string; process: ChildProcess; ended: Promise<unknown> }> {
  const folder = await createJobFolder(state.path, name, Buffer.from('{}'), null);
  const left = spawn('/bin/sh', ['-c', 'sleep 300 & sleep 300'], {
    env: { PATH: '/usr/bin:/bin', [MARKER]: markOf(stateId(settings), name) },
    detached: true,
    stdio: 'ignore',
  });
  return { folder: folder.path, process: left, ended: once(left, 'exit') };
}

test('release ends what a dead worker left of an attempt, and nothing else', async () => {
  const backend = createLocalBackend(settings, { log: silent });
  const gone = await abandoned('left-1');
  const other = await abandoned('left-10');
  await backend.release([
    { name: 'left-1', ids: {} },
    { name: 'never-existed-1', ids: {} },
  ]);
  expect(await gone.ended).toEqual([null, 'SIGKILL']);
  await expect(access(gone.folder)).rejects.toThrow('ENOENT');
  await access(other.folder);
  expect(other.process.exitCode ?? other.process.signalCode).toBeNull();
  await backend.release([{ name: 'left-10', ids: {} }]);
  expect(await other.ended).toEqual([null, 'SIGKILL']);
});

test('reaping ends every attempt that is no longer alive', async () => {
  const backend = createLocalBackend(settings, { log: silent });
  const dead = await abandoned('dead-1');
  const alive = await abandoned('alive-1');
  await backend.reap!(async (name) => name === 'alive-1');
  expect(await dead.ended).toEqual([null, 'SIGKILL']);
  expect(alive.process.signalCode).toBeNull();
  await access(alive.folder);
  await backend.release([{ name: 'alive-1', ids: {} }]);
  await alive.ended;
});

test('releasing a running attempt ends it, also in the same worker', async () => {
  const backend = createLocalBackend(settings, { log: silent });
  const work = newWork({ image: 'builtin:script', command: ['echo begun; sleep 300'] });
  const lines: string[] = [];
  const attempt = runAttempt(backend, work, { onLine: ({ line }) => lines.push(line) });
  const ended = expect(attempt).rejects.toThrow('was released');
  await eventually(() => lines.includes('begun') || undefined);
  await backend.release([{ name: work.name, ids: {} }]);
  await ended;
});
