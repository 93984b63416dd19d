/** Temporal for `bench:jobs`: a full server with its persistence on the PostgreSQL of the bench, and the dev server. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Connection, isGrpcServiceError } from '@temporalio/client';
import { runCommand } from '../../dist/embedded/command.js';
import { freePort } from '../../dist/embedded/port.js';
import { startService } from '../../dist/embedded/service-process.js';
import { findTemporalBinary } from '../../dist/embedded/temporal/binary.js';
import { startTemporal } from '../../dist/embedded/temporal/server.js';
import { waitUntil } from '../../dist/embedded/wait-until.js';
import { temporalServer } from '../../tools/temporal-server/build.js';

const PLUGIN = 'postgres12_pgx';
const STORES = ['temporal', 'visibility'];
const SCHEMA_MS = 120_000;
const READY_MS = 90_000;
const CALL_MS = 2_000;
const STOP_MS = 15_000;
const RETENTION_SECONDS = 24 * 3_600;
const LOOPBACK = '127.0.0.1';
const PORTS = ['FRONTEND', 'HISTORY', 'MATCHING', 'WORKER'];
/** gRPC ALREADY_EXISTS. */
const ALREADY_EXISTS = 6;
/** As the dev server of `beacon up` has it. */
const DYNAMIC_CONFIG = 'system.enableActivityEagerExecution:\n  - value: true\n';

/**
 * Makes Temporal's databases, starts the server and its namespace `default`.
 *
 * @param {{ adminUrl: string, folder: string, query(sql: string): Promise<unknown> }} postgres
 * @param {(text: string) => void} say
 */
export async function fullTemporal({ adminUrl, folder, query }, say) {
  const programs = await temporalServer(say);
  const url = new URL(adminUrl);
  const password = decodeURIComponent(url.password);
  const sql = async (database, ...words) => {
    const { code, output } = await runCommand(programs.sql, words, {
      timeoutMs: SCHEMA_MS,
      env: {
        SQL_PLUGIN: PLUGIN,
        SQL_HOST: url.hostname,
        SQL_PORT: url.port,
        SQL_USER: url.username,
        SQL_PASSWORD: password,
        SQL_DATABASE: database,
      },
    });
    if (code !== 0)
      throw new Error(`temporal's sql tool, ${words[0]} of ${database}: ${output.slice(-1_000)}`);
  };
  const name = `bench_${randomBytes(6).toString('hex')}`;
  for (const store of STORES) {
    await sql(`${name}_${store}`, 'create');
    await sql(`${name}_${store}`, 'setup-schema', '-v', '0.0');
    await sql(`${name}_${store}`, 'update-schema', '--schema-name', `postgresql/v12/${store}`);
  }
  const dynamic = path.join(folder, 'temporal-dynamic.yaml');
  await writeFile(dynamic, DYNAMIC_CONFIG);
  const taken = [];
  const port = async () => {
    taken.push(await freePort(undefined, taken));
    return String(taken.at(-1));
  };
  const ports = {};
  for (const service of PORTS) {
    ports[`${service}_GRPC_PORT`] = await port();
    ports[`${service}_MEMBERSHIP_PORT`] = await port();
  }
  ports.FRONTEND_HTTP_PORT = await port();
  const logFile = path.join(folder, 'temporal-full.log');
  const service = startService({
    program: programs.server,
    words: ['--allow-no-auth', 'start'],
    cwd: folder,
    env: {
      DB: PLUGIN,
      POSTGRES_SEEDS: url.hostname,
      DB_PORT: url.port,
      POSTGRES_USER: url.username,
      POSTGRES_PWD: password,
      DBNAME: `${name}_temporal`,
      VISIBILITY_DBNAME: `${name}_visibility`,
      NUM_HISTORY_SHARDS: '4',
      BIND_ON_IP: LOOPBACK,
      TEMPORAL_BROADCAST_ADDRESS: LOOPBACK,
      DYNAMIC_CONFIG_FILE_PATH: dynamic,
      LOG_LEVEL: 'error',
      ...ports,
    },
    logFile,
  });
  const pid = service.identity?.pid;
  // A bench that is killed must not leave its server behind.
  process.once('exit', () => {
    try {
      if (pid !== undefined && !service.hasEnded()) process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  });
  const address = `${LOOPBACK}:${ports.FRONTEND_GRPC_PORT}`;
  const stop = async () => {
    await service.stop([{ signal: 'SIGTERM', graceMs: STOP_MS }]);
    for (const store of STORES) await query(`drop database if exists ${name}_${store} with (force)`);
  };
  const ready = await waitUntil(
    async () => {
      if (service.hasEnded()) throw new Error(`Temporal ended: ${await service.ended} (log: ${logFile})`);
      return namespaceAnswers(address);
    },
    { timeoutMs: READY_MS, everyMs: 250 },
  );
  if (!ready) {
    await stop();
    throw new Error(`Temporal gave no answer in ${READY_MS / 1_000} s (log: ${logFile})`);
  }
  return { address, pid, version: programs.version, [Symbol.asyncDispose]: stop };
}

/** Registers the namespace and asks for it; false while the server cannot. */
async function namespaceAnswers(address) {
  let connection;
  try {
    connection = await Connection.connect({ address, connectTimeout: CALL_MS });
    const { workflowService } = connection;
    return await connection.withDeadline(Date.now() + CALL_MS, async () => {
      await workflowService
        .registerNamespace({
          namespace: 'default',
          workflowExecutionRetentionPeriod: { seconds: RETENTION_SECONDS },
        })
        .catch((error) => {
          if (!(isGrpcServiceError(error) && error.code === ALREADY_EXISTS)) throw error;
        });
      await workflowService.listWorkflowExecutions({ namespace: 'default', pageSize: 1 });
      return true;
    });
  } catch {
    return false;
  } finally {
    await connection?.close().catch(() => undefined);
  }
}

/** The dev server as `beacon up` runs it: SQLite in a file. */
export async function devTemporal(/** @type {string} */ folder) {
  const progress = { say: (text) => console.log(`# ${text}`), update: () => undefined };
  const { path: binary } = await findTemporalBinary({ stateFolder: folder, env: process.env, progress });
  const server = await startTemporal({
    binary,
    folder: path.join(folder, 'dev-temporal'),
    ui: false,
    logFile: path.join(folder, 'temporal-dev.log'),
  });
  return Object.assign(server, { pid: server.identity.pid });
}
