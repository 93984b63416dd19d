import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { readdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../test/support/temporary-folder.ts';
import { examine } from './doctor.ts';

test('says what is there, names what is missing with the way to get it, and leaves the folder alone', async () => {
  await using folder = await temporaryFolder();
  const squatter = createServer().listen(0, '127.0.0.1');
  await once(squatter, 'listening');
  const { port } = squatter.address() as AddressInfo;
  const checks = await examine({
    stateFolder: folder.path,
    env: { PATH: '/nonexistent', TEMPORAL_CLI_PATH: '/bin/true', HTTP_PORT: `:${port}` },
  });
  squatter.close();
  const by = Object.fromEntries(checks.map((check) => [check.name, check]));
  expect(by.node).toMatchObject({ ok: true, detail: process.version, fix: '' });
  expect(by.postgres).toMatchObject({ ok: true, detail: expect.stringContaining('PostgreSQL 18') });
  expect(by.temporal).toMatchObject({ ok: false, detail: expect.stringContaining('TEMPORAL_CLI_PATH') });
  expect(by.ports).toMatchObject({ ok: false, detail: expect.stringContaining(`${port} (API)`) });
  for (const check of checks) expect(check.ok).toBe(check.fix === '');
  expect(await readdir(folder.path)).toEqual([]);
});
