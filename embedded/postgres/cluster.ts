import { chown, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { type Account } from '../account.ts';
import { runCommand } from '../command.ts';
import { EmbeddedError } from '../failure.ts';
import { INITDB_MS, SINGLE_USER_MS } from '../limits.ts';
import { readIfThere, syncFolder } from '../private-file.ts';
import type { PostgresBinaries } from './binaries.ts';

export const SUPERUSER = 'postgres';

/** What PostgreSQL's programs see of our environment: nothing but this. */
export const postgresEnv = (folder: string): NodeJS.ProcessEnv => ({
  PATH: process.env.PATH,
  HOME: folder,
  LC_ALL: 'C',
  TZ: 'UTC',
});

export interface ClusterOptions {
  binaries: PostgresBinaries;
  /** Owned by the account; holds `data/`. */
  folder: string;
  account: Account | null;
  password: string;
  signal?: AbortSignal | undefined;
}

/** Makes `folder/data` with initdb unless it is there. Half-written ones of an earlier try are removed. */
export async function ensureCluster(options: ClusterOptions): Promise<{ dataFolder: string; made: boolean }> {
  const { binaries, folder, account, password, signal } = options;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (account) await chown(folder, account.uid, account.gid);
  const dataFolder = path.join(folder, 'data');
  const versionFile = await readIfThere(path.join(dataFolder, 'PG_VERSION'));
  if (versionFile !== null) {
    const ours = Number.parseInt(binaries.version, 10);
    if (Number.parseInt(versionFile, 10) === ours) return { dataFolder, made: false };
    throw new EmbeddedError(
      'data_of_other_version',
      `${dataFolder} was made by PostgreSQL ${versionFile.trim()}, this is ${ours}: dump it with the old version, or move it away to start anew`,
    );
  }
  for (const name of await readdir(folder)) {
    if (name.startsWith('data.new')) await rm(path.join(folder, name), { recursive: true, force: true });
  }
  const fresh = path.join(folder, `data.new-${process.pid}`);
  const passwordFile = path.join(folder, `password-${process.pid}`);
  try {
    await writeFile(passwordFile, password, { mode: 0o600 });
    if (account) await chown(passwordFile, account.uid, account.gid);
    const { code, output } = await runCommand(
      path.join(binaries.folder, 'bin', 'initdb'),
      [
        ...['-D', fresh, '-U', SUPERUSER, `--pwfile=${passwordFile}`, '--auth=scram-sha-256'],
        // Sorting and case rules that no system library can change under the indexes.
        ...['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
      ],
      { cwd: folder, env: postgresEnv(folder), account, timeoutMs: INITDB_MS, signal },
    );
    signal?.throwIfAborted();
    if (code !== 0) throw new EmbeddedError('initdb_failed', `initdb failed: ${lastLine(output)}`);
    await rename(fresh, dataFolder);
    await syncFolder(folder);
  } finally {
    await rm(passwordFile, { force: true });
    await rm(fresh, { recursive: true, force: true });
  }
  return { dataFolder, made: true };
}

/** Gives the superuser of the stopped server in `folder/data` another password; nothing else can reach it meanwhile. */
export async function setSuperuserPassword(options: ClusterOptions): Promise<void> {
  const { binaries, folder, account, password, signal } = options;
  const { code, output } = await runCommand(
    path.join(binaries.folder, 'bin', 'postgres'),
    ['--single', '-D', path.join(folder, 'data'), '-c', 'log_statement=none', 'postgres'],
    {
      ...{ cwd: folder, env: postgresEnv(folder), account, timeoutMs: SINGLE_USER_MS, signal },
      input: `alter role ${pg.escapeIdentifier(SUPERUSER)} password ${pg.escapeLiteral(password)}\n`,
    },
  );
  signal?.throwIfAborted();
  if (code === 0 && !/\b(ERROR|FATAL|PANIC):/.test(output)) return;
  throw new EmbeddedError(
    'postgres_not_ready',
    `the superuser's password is lost (postgres.superuser.password) and cannot be set anew: ${lastLine(output)}; put the file back from a backup`,
  );
}

const lastLine = (text: string): string =>
  text
    .split('\n')
    .filter((line) => /error|fatal|could not/i.test(line))
    .at(-1) ?? text.trim().slice(-300);
