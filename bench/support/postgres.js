/** The PostgreSQL of a bench, a database on it, and the line that says on what was measured. */
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { serverAccount } from '../../dist/embedded/account.js';
import { startPostgres } from '../../dist/embedded/postgres/server.js';
import { migrate } from '../../dist/store/migrate.js';

/** Reachable by the account that PostgreSQL runs as when we are root, which cannot enter a private folder. */
const FOLDER_MODE = 0o711;

/**
 * A server of our own in a temporary folder (fsync and synchronous_commit on), or the one that BENCH_POSTGRES_URL names,
 * as its superuser. Prints the machine, the versions and the settings that decide.
 *
 * @returns {Promise<{ adminUrl: string, query(sql: string): Promise<any[]>, folder: string, pid: number | undefined } & AsyncDisposable>}
 */
export async function benchPostgres() {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'beacon-bench-'));
  await chmod(folder, FOLDER_MODE);
  let server;
  try {
    const given = process.env.BENCH_POSTGRES_URL;
    if (given === undefined || given === '') {
      server = await startPostgres({
        secretsFolder: path.join(folder, 'secrets'),
        folder: path.join(folder, 'reachable'),
        logFile: path.join(folder, 'postgres.log'),
        account: await serverAccount(),
      });
      // A bench that is killed must not leave its server behind.
      const { pid } = server.identity;
      process.once('exit', () => {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It has ended.
        }
      });
    }
    const adminUrl = server?.adminUrl ?? given;
    const query = (sql) => asAdmin(adminUrl, sql);
    const [shown] = await query(
      `select current_setting('server_version') as version, current_setting('fsync') as fsync,
              current_setting('synchronous_commit') as synchronous_commit, current_setting('shared_buffers') as shared_buffers`,
    );
    const cpus = os.cpus();
    console.log(
      `# node ${process.version}, PostgreSQL ${shown.version} (fsync ${shown.fsync}, synchronous_commit ${shown.synchronous_commit}, shared_buffers ${shown.shared_buffers}), ${os.type()} ${os.release()}, ${cpus.length} × ${cpus[0]?.model ?? 'unknown'}, load ${os.loadavg()[0]?.toFixed(1)}`,
    );
    return {
      adminUrl,
      query,
      folder,
      pid: server?.identity.pid,
      async [Symbol.asyncDispose]() {
        await server?.[Symbol.asyncDispose]();
        await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await server?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/**
 * A fresh database, dropped at the end, migrated unless told otherwise.
 *
 * @param {{ adminUrl: string }} server
 * @param {{ migrated?: boolean }} [options]
 * @returns {Promise<{ url: string, query(sql: string): Promise<any[]> } & AsyncDisposable>}
 */
export async function benchDatabase({ adminUrl }, { migrated = true } = {}) {
  const database = `bench_${randomBytes(6).toString('hex')}`;
  const url = Object.assign(new URL(adminUrl), { pathname: `/${database}` }).href;
  await asAdmin(adminUrl, `create database ${database}`);
  const part = {
    url,
    query: (sql) => asAdmin(url, sql),
    [Symbol.asyncDispose]: () => asAdmin(adminUrl, `drop database ${database} with (force)`).then(() => {}),
  };
  try {
    if (migrated) await migrate(url);
    return part;
  } catch (error) {
    await part[Symbol.asyncDispose]();
    throw error;
  }
}

async function asAdmin(url, sql) {
  const client = new pg.Client({ connectionString: url, application_name: 'beacon bench' });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}
