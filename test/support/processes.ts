import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openSync, closeSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { serverAccount } from '../../embedded/account.ts';
import { startPostgres, type EmbeddedPostgres } from '../../embedded/postgres/server.ts';
import { findTemporalBinary } from '../../embedded/temporal/binary.ts';
import { freePort } from '../../embedded/port.ts';
import { startTemporal, type EmbeddedTemporal } from '../../embedded/temporal/server.ts';
import { streamProgress } from '../../embedded/progress.ts';
import { migrate } from '../../store/migrate.ts';
import { build, isStale } from '../../tools/build.js';

const COMMAND = path.join(import.meta.dirname, '../../dist/cli/main.js');

/** One role as users run it, in a process of its own. */
export interface RoleProcess {
  /** Where the API listens; null for others. */
  url: string | null;
  kill(): Promise<void>;
}

/** A whole Beacon out of real processes, each of which a test may kill and start again. */
export interface Processes extends AsyncDisposable {
  /** Logs of every part. */
  logs: string;
  postgres(): Promise<EmbeddedPostgres>;
  temporal(): Promise<EmbeddedTemporal>;
  /** Deletes Temporal's database; only while it is stopped. */
  forgetTemporal(): Promise<void>;
  role(name: string, words: string[], env?: NodeJS.ProcessEnv): Promise<RoleProcess>;
}

export async function startProcesses(folder: string): Promise<Processes> {
  if (isStale()) await build();
  const logs = path.join(folder, 'logs');
  await mkdir(logs, { recursive: true });
  // Not the usual port: another stack that starts while ours is away would take it.
  const ports = {
    grpc: await freePort(undefined),
    http: await freePort(undefined),
    ui: await freePort(undefined),
    metrics: await freePort(undefined),
  };
  await mkdir(path.join(folder, 'temporal'));
  await writeFile(path.join(folder, 'temporal', 'ports.json'), JSON.stringify(ports));
  const account = await serverAccount();
  const progress = streamProgress(process.stderr);
  const running = new Set<AsyncDisposable>();
  let databaseUrl = '';
  let temporalAddress = '';
  const binary = await findTemporalBinary({ stateFolder: folder, env: process.env, progress });

  return {
    logs,
    async postgres() {
      const server = await startPostgres({
        secretsFolder: path.join(folder, 'secrets'),
        folder: path.join(folder, 'reachable'),
        logFile: path.join(logs, 'postgres.log'),
        account,
      });
      running.add(server);
      databaseUrl = server.databaseUrl;
      await migrate(databaseUrl);
      return server;
    },
    async temporal() {
      const server = await startTemporal({
        binary: binary.path,
        folder: path.join(folder, 'temporal'),
        logFile: path.join(logs, 'temporal.log'),
      });
      running.add(server);
      temporalAddress = server.address;
      return server;
    },
    async forgetTemporal() {
      for (const suffix of ['', '-wal', '-shm'])
        await rm(path.join(folder, 'temporal', `temporal.db${suffix}`), { force: true });
    },
    async role(name, words, env = {}) {
      const log = openSync(path.join(logs, `${name}.log`), 'a');
      const child = spawn(process.execPath, [COMMAND, ...words], {
        env: {
          PATH: process.env.PATH,
          DATABASE_URL: databaseUrl,
          TEMPORAL_ADDRESS: temporalAddress,
          BEACON_STATE: path.join(folder, 'state'),
          BEACON_REACHABLE: path.join(folder, 'reachable'),
          LOCAL_PROCESS_DIGESTS: 'shipped',
          ...env,
        },
        stdio: ['ignore', log, log, 'ipc'],
      });
      closeSync(log);
      const url = await ready(name, child);
      const role: RoleProcess & AsyncDisposable = {
        url,
        async kill() {
          running.delete(role);
          if (child.exitCode !== null || child.signalCode !== null) return;
          child.kill('SIGKILL');
          await once(child, 'exit');
        },
        [Symbol.asyncDispose]: () => role.kill(),
      };
      running.add(role);
      return role;
    },
    async [Symbol.asyncDispose]() {
      for (const part of [...running].reverse()) await part[Symbol.asyncDispose]();
    },
  };
}

async function ready(name: string, child: ChildProcess): Promise<string | null> {
  return new Promise((resolve, reject) => {
    child.once('exit', (code, signal) =>
      reject(new Error(`${name} ended before it was ready: ${code ?? signal}`)),
    );
    child.on('message', (message) => {
      const { ready: isReady, url } = message as { ready?: boolean; url?: string };
      if (isReady === true) resolve(url ?? null);
    });
  });
}
