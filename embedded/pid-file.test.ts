import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../test/support/temporary-folder.ts';
import { endLeftovers, writePidFile } from './pid-file.ts';
import { identify, isAlive } from './process-identity.ts';

test('what an earlier run left behind is ended, a stranger under a reused number is not', async () => {
  await using folder = await temporaryFolder();
  const ours = spawn('sleep', ['60'], { detached: true });
  const stranger = spawn('sleep', ['60'], { detached: true });
  writePidFile(folder.path, 'worker', identify(ours.pid!)!);
  const strangers = identify(stranger.pid!)!;
  writePidFile(folder.path, 'relay', { ...strangers, started: 'before the last boot' });
  writePidFile(folder.path, 'api', { pid: 1_999_999_999, started: 'never' });

  expect(await endLeftovers(folder.path)).toEqual(['worker']);
  if (ours.signalCode === null) await once(ours, 'exit');
  expect(ours.signalCode).toBe('SIGTERM');
  expect(isAlive(strangers)).toBe(true);
  expect(await readdir(folder.path)).toEqual([]);
  stranger.kill();
});

test('one that ignores the request is killed with its children', async () => {
  await using folder = await temporaryFolder();
  const stubborn = spawn('sh', ['-c', "trap '' TERM; sleep 60 & echo $!; wait; wait"], { detached: true });
  const [said] = (await once(stubborn.stdout.setEncoding('utf8'), 'data')) as [string];
  const child = identify(Number(said))!;
  writePidFile(folder.path, 'worker', identify(stubborn.pid!)!);
  await endLeftovers(folder.path, [{ signal: 'SIGTERM', graceMs: 200 }]);
  expect(isAlive(child)).toBe(false);
});
