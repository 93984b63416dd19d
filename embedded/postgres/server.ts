import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { z } from 'zod';
import type { Account } from '../account.ts';
import { EmbeddedError, reasonOf } from '../failure.ts';
import { PORT_TRIES, POSTGRES_ORPHANS_MS, POSTGRES_READY_MS } from '../limits.ts';
import { sizeOf, tailOf } from '../log-file.ts';
import { freePort } from '../port.ts';
import { rememberedIn, secretIn, writePrivate } from '../private-file.ts';
import { type Progress, silentProgress } from '../progress.ts';
import { type ServiceProcess, startService } from '../service-process.ts';
import type { Running } from '../supervise.ts';
import { waitUntil } from '../wait-until.ts';
import { findBinaries } from './binaries.ts';
import { ensureCluster, postgresEnv, setSuperuserPassword, SUPERUSER } from './cluster.ts';
import { ensureDatabase } from './database.ts';
import { postgresStopSteps, stopLeftoverPostgres } from './leftover.ts';

export interface PostgresOptions {
  /** Private to us: password, port. */
  secretsFolder: string;
  /** Reachable by the account: `postgres/data`, copied binaries. */
  folder: string;
  logFile: string;
  account: Account | null;
  progress?: Progress;
  signal?: AbortSignal | undefined;
  /** For tests: another place of the platform package. */
  packagePath?: string;
}

export interface EmbeddedPostgres extends Running, AsyncDisposable {
  /** The services' database, as its owner `beacon`. */
  databaseUrl: string;
  /** The database `postgres` as superuser. */
  adminUrl: string;
  port: number;
}

/**
 * Everything that was acknowledged is on disk (fsync and synchronous_commit stay on); the rest is sized for one
 * machine that also runs everything else.
 */
const settings = (port: number): string[] =>
  Object.entries({
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    max_connections: '200',
    shared_buffers: '64MB',
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    max_wal_senders: '0',
    wal_level: 'minimal',
    log_timezone: 'UTC',
    timezone: 'UTC',
    log_line_prefix: '%m [%p] %a ',
    log_min_messages: 'warning',
    log_checkpoints: 'off',
  }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);

const url = (user: string, password: string, port: number, database: string): string =>
  `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`;

const storedPort = z.object({ port: z.number().int().min(1).max(65_535) });

const isWrongPassword = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && error.code === '28P01';

async function answers(adminUrl: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: adminUrl, connectionTimeoutMillis: 2_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return true;
  } catch (error) {
    // Wrong password: whoever answers, it is not our server; waiting does not mend that.
    if (isWrongPassword(error)) throw error;
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Starts the server on its data, made at the first call, and waits until it answers. */
export async function startPostgres(options: PostgresOptions): Promise<EmbeddedPostgres> {
  const { secretsFolder, folder, logFile, account, progress = silentProgress, signal } = options;
  await mkdir(secretsFolder, { recursive: true, mode: 0o700 });
  await mkdir(folder, { recursive: true, mode: account ? 0o711 : 0o700 });
  const superPassword = await secretIn(path.join(secretsFolder, 'postgres.superuser.password'));
  const password = await secretIn(path.join(secretsFolder, 'postgres.password'));
  const binaries = await findBinaries({
    copyFolder: folder,
    account,
    ...(options.packagePath === undefined ? {} : { packagePath: options.packagePath }),
  });
  const home = path.join(folder, 'postgres');
  const { dataFolder, made } = await ensureCluster({
    binaries,
    folder: home,
    account,
    password: superPassword,
    signal,
  });
  if (made) progress.say(`PostgreSQL ${binaries.version}: made a new database in ${dataFolder}`);
  const leftover = await stopLeftoverPostgres(dataFolder);
  if (leftover === 'stopped') progress.say('PostgreSQL: stopped the server that an earlier run left behind');

  const portFile = path.join(secretsFolder, 'postgres.port.json');
  let wanted = (await rememberedIn(portFile, storedPort, progress))?.port;
  let passwordSet = made;
  const deadline = performance.now() + POSTGRES_ORPHANS_MS;
  for (let tries = 1; ;) {
    signal?.throwIfAborted();
    const port = await freePort(wanted);
    if (wanted !== undefined && port !== wanted)
      progress.say(`PostgreSQL: port ${wanted} is taken, using ${port}`);
    await writePrivate(portFile, `${JSON.stringify({ port })}\n`);
    wanted = port;
    const since = await sizeOf(logFile);
    const service = startService({
      program: path.join(binaries.folder, 'bin', 'postgres'),
      words: ['-D', dataFolder, ...settings(port)],
      cwd: home,
      env: postgresEnv(home),
      logFile,
      account,
    });
    const adminUrl = url(SUPERUSER, superPassword, port, 'postgres');
    try {
      await untilReady(service, adminUrl, options);
      const databaseUrl = url('beacon', password, port, 'beacon');
      await ensureDatabase(adminUrl, { role: 'beacon', database: 'beacon', password });
      if (service.identity === null)
        throw new EmbeddedError('postgres_not_ready', 'PostgreSQL has no process');
      return {
        databaseUrl,
        adminUrl,
        port,
        identity: service.identity,
        ended: service.ended,
        stop: (force) => service.stop(postgresStopSteps, force),
        [Symbol.asyncDispose]: () => service.stop(postgresStopSteps),
      };
    } catch (error) {
      await service.stop(postgresStopSteps);
      signal?.throwIfAborted();
      const said = await tailOf(logFile, 4_000, since);
      // The password file was lost, or is another's: whoever holds the data may choose a new one.
      if (isWrongPassword(error) && !passwordSet) {
        passwordSet = true;
        await setSuperuserPassword({ binaries, folder: home, account, password: superPassword, signal });
        progress.say("PostgreSQL: the superuser's password was lost; set the new one");
        continue;
      }
      // Backends of a killed server still hold its memory: they end by themselves.
      if (/shared memory block .* is still in use/s.test(said) && performance.now() < deadline) {
        await waitUntil(() => false, { timeoutMs: 500, signal });
        continue;
      }
      if (/could not bind|Address already in use/.test(said) && tries < PORT_TRIES) {
        tries++;
        wanted = undefined;
        continue;
      }
      throw new EmbeddedError(
        'postgres_not_ready',
        `PostgreSQL did not start: ${lastWords(said) || reasonOf(error)} (log: ${logFile})`,
        { cause: error },
      );
    }
  }
}

async function untilReady(
  service: ServiceProcess,
  adminUrl: string,
  options: PostgresOptions,
): Promise<void> {
  const { progress = silentProgress, signal } = options;
  const began = performance.now();
  const ready = await waitUntil(
    async () => {
      if (service.hasEnded()) throw new EmbeddedError('postgres_not_ready', await service.ended);
      const seconds = Math.round((performance.now() - began) / 1000);
      if (seconds > 2) progress.update(`PostgreSQL: starting (recovering after a crash?), ${seconds} s`);
      return answers(adminUrl);
    },
    { timeoutMs: POSTGRES_READY_MS, signal },
  );
  if (!ready) throw new EmbeddedError('postgres_not_ready', `no answer within ${POSTGRES_READY_MS / 1000} s`);
}

const lastWords = (log: string): string =>
  log
    .split('\n')
    .filter((line) => /FATAL|PANIC|error while loading/.test(line))
    .at(-1)
    ?.replace(/^.*?((?:FATAL|PANIC):)/, '$1') ?? '';
