import { readFile } from 'node:fs/promises';
import { writeSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../test/support/temporary-folder.ts';
import { openLog, rotate, tailOf } from './log-file.ts';

test('a log that grew too large is emptied under the writer, who goes on at its start', async () => {
  await using folder = await temporaryFolder();
  const file = path.join(folder.path, 'worker.log');
  using log = openLog(file);
  writeSync(log.fd, 'old line\n');
  await rotate(file, 100);
  expect(await readFile(file, 'utf8')).toBe('old line\n');
  await rotate(file, 5);
  writeSync(log.fd, 'new line\n');
  expect(await readFile(file, 'utf8')).toBe('new line\n');
  expect(await readFile(`${file}.1`, 'utf8')).toBe('old line\n');
  expect(await tailOf(file, 5)).toBe('line\n');
});
