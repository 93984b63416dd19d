import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../test/support/temporary-folder.ts';
import { isRoot } from './account.ts';
import { makeStateFolder, placeState } from './state-folder.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let state: string;
let sharedRoot: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  state = path.join(folder.path, 'deep', 'state');
  sharedRoot = path.join(folder.path, 'shared');
});
afterEach(async () => folder[Symbol.asyncDispose]());

const place = async (more: { databaseElsewhere?: boolean } = {}) =>
  placeState(await makeStateFolder(state), { sharedRoot, ...more });
/** What a first start leaves: the database, then the log's keys. */
async function firstLife(): Promise<string> {
  const { reachable } = await place();
  await mkdir(path.join(reachable, 'postgres', 'data'), { recursive: true });
  await writeFile(path.join(reachable, 'postgres', 'data', 'PG_VERSION'), '18\n');
  await mkdir(path.join(state, 'keys'));
  await writeFile(path.join(state, 'keys', 'log.pem'), 'key');
  await writeFile(path.join(state, 'operator.token'), 'token');
  return reachable;
}

test('keys without their database are refused, with the way to put it back and the way to start anew', async () => {
  const reachable = await firstLife();
  await rm(path.join(reachable, 'postgres'), { recursive: true });
  await expect(place()).rejects.toMatchObject({
    code: 'database_missing',
    message: expect.stringMatching(/postgres\/data is missing: put it back.*start anew.*--state/),
  });
  await expect(place({ databaseElsewhere: true })).resolves.toMatchObject({ reachable });
});

test('a first start that ended before there was a log is gone on with', async () => {
  const { reachable } = await place();
  await writeFile(path.join(state, 'operator.token'), 'token');
  await writeFile(path.join(state, 'postgres.password'), 'password');
  expect(await place()).toMatchObject({ reachable, setAside: null });
});

describe.skipIf(!isRoot())("root's folder for other accounts (skipped for others: they have none)", () => {
  test.each([
    ['lost', (file: string) => rm(file)],
    ['empty', (file: string) => writeFile(file, '')],
  ])('is found again by the path of the state folder when its location is %s', async (_how, lose) => {
    const reachable = await firstLife();
    await lose(path.join(state, 'location'));
    expect(await place()).toMatchObject({ reachable, setAside: null });
    expect(await readFile(path.join(state, 'location'), 'utf8')).toBe(`${reachable}\n`);
    expect(await readdir(sharedRoot)).toEqual([path.basename(reachable)]);
  });

  test('is not made anew for the keys of a folder that came from elsewhere', async () => {
    await firstLife();
    await rm(path.join(state, 'location'));
    await rm(sharedRoot, { recursive: true });
    await expect(place()).rejects.toMatchObject({
      code: 'database_missing',
      message: expect.stringContaining(path.join(state, 'location')),
    });
    expect(await stat(sharedRoot).catch(() => null)).toBeNull();
  });

  test('is set aside, with all that it holds, for a state folder that is new', async () => {
    const reachable = await firstLife();
    await rm(state, { recursive: true });
    const { setAside } = await place();
    expect(setAside).toMatch(`${reachable}.unused-`);
    expect(await readFile(path.join(setAside!, 'postgres', 'data', 'PG_VERSION'), 'utf8')).toBe('18\n');
    expect(await readdir(reachable)).toEqual([]);
  });
});

test.skipIf(process.platform !== 'linux')(
  'a place that takes no folders is refused at once by its name (skipped where there is no /proc)',
  async () => {
    await expect(makeStateFolder('/proc/beacon/state')).rejects.toMatchObject({
      code: 'state_foreign',
      message: expect.stringMatching(/^\/proc\/beacon\/state cannot be used \(ENOENT\)/),
    });
  },
);

test('a file in the place of the folder, or of one above, is refused and stays as it is', async () => {
  const file = path.join(folder.path, 'file');
  await writeFile(file, 'text', { mode: 0o640 });
  for (const name of [file, path.join(file, 'state')])
    await expect(makeStateFolder(name)).rejects.toMatchObject({
      code: 'state_foreign',
      message: expect.stringContaining(`${name} cannot be used (ENOTDIR)`),
    });
  expect((await stat(file)).mode & 0o777).toBe(0o640);
});

test('a folder that holds other things is refused and keeps its mode', async () => {
  const home = path.join(folder.path, 'home');
  await mkdir(home, { mode: 0o755 });
  await writeFile(path.join(home, 'letters.txt'), 'dear');
  await expect(makeStateFolder(home)).rejects.toMatchObject({ code: 'state_foreign' });
  expect((await stat(home)).mode & 0o777).toBe(0o755);
});
