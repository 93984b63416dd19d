import { chmod, cp, lstat, mkdir, readdir, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { serverAccount } from '../account.ts';
import { findBinaries, packageFolder } from './binaries.ts';

/** The package as npm leaves it when install scripts are blocked: without links, and one that leads nowhere. */
async function withoutLinks(to: string): Promise<void> {
  await cp(packageFolder(), to, {
    recursive: true,
    verbatimSymlinks: true,
    filter: async (source) => !(await lstat(source)).isSymbolicLink(),
  });
  const libraries = path.join(to, 'native', 'lib');
  expect(await links(libraries)).toEqual([]);
  await symlink('gone', path.join(libraries, 'libpq.so.5'));
}

async function links(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isSymbolicLink()).map((entry) => entry.name);
}

test('links that a blocked install script did not make are made at start', async () => {
  await using folder = await temporaryFolder();
  const packagePath = path.join(folder.path, 'package');
  await withoutLinks(packagePath);
  const copyFolder = path.join(folder.path, 'copies');
  const found = await findBinaries({ copyFolder, account: await serverAccount(), packagePath });
  expect(found.folder).toBe(path.join(packagePath, 'native'));
  expect(await links(path.join(packagePath, 'native', 'lib'))).toContain('libpq.so.5');
});

test.skipIf(process.platform !== 'linux')(
  'a package that cannot be repaired or reached where it lies is copied, with its links',
  async () => {
    await using folder = await temporaryFolder();
    const closed = path.join(folder.path, 'closed');
    const packagePath = path.join(closed, 'package');
    const copyFolder = path.join(folder.path, 'copies');
    await withoutLinks(packagePath);
    await mkdir(copyFolder, { mode: 0o711 });
    const account = await serverAccount();
    // For root's server account: a folder that only root may enter. For an ordinary user: one he may not write.
    const libraries = path.join(packagePath, 'native', 'lib');
    await chmod(account ? closed : libraries, account ? 0o700 : 0o555);
    try {
      const found = await findBinaries({ copyFolder, account, packagePath });
      expect(path.dirname(path.dirname(found.folder))).toBe(copyFolder);
      expect(await links(path.join(found.folder, 'lib'))).toContain('libpq.so.5');
      expect(await findBinaries({ copyFolder, account, packagePath })).toEqual(found);
    } finally {
      await chmod(libraries, 0o755);
    }
  },
);

test('binaries that do not run are told in one line with the way out', async () => {
  await using folder = await temporaryFolder();
  const packagePath = path.join(folder.path, 'package');
  await cp(path.join(packageFolder(), 'package.json'), path.join(packagePath, 'package.json'));
  await mkdir(path.join(packagePath, 'native', 'bin'), { recursive: true });
  const failure = await findBinaries({
    copyFolder: path.join(folder.path, 'copies'),
    account: await serverAccount(),
    packagePath,
  }).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'binaries_unusable' });
  expect(String(failure)).toContain('DATABASE_URL');
  await rm(packagePath, { recursive: true });
});
