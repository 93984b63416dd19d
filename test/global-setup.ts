import { chmod, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { serverAccount } from '../embedded/account.ts';
import { startPostgres } from '../embedded/postgres/server.ts';
import { streamProgress } from '../embedded/progress.ts';
import { findTemporalBinary } from '../embedded/temporal/binary.ts';
import { startTemporal } from '../embedded/temporal/server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The run's PostgreSQL, database `postgres`, as superuser. */
    postgresUrl: string;
    /** The run's Temporal dev server; null with BEACON_TEST_TEMPORAL=off. */
    temporalAddress: string | null;
  }
}

/**
 * One real PostgreSQL and one real Temporal dev server for the whole run, in a temporary folder.
 * BEACON_TEST_POSTGRES_URL and BEACON_TEST_TEMPORAL_ADDRESS name running ones instead; BEACON_TEST_TEMPORAL=off does
 * without Temporal.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'beacon-test-'));
  const progress = streamProgress(process.stderr);
  const servers: AsyncDisposable[] = [];
  const close = async () => {
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const [postgresUrl, temporalAddress] = await Promise.all([postgres(), temporal()]);
    project.provide('postgresUrl', postgresUrl);
    project.provide('temporalAddress', temporalAddress);
  } catch (error) {
    await close();
    throw error;
  }
  return close;

  async function postgres(): Promise<string> {
    const running = process.env.BEACON_TEST_POSTGRES_URL;
    if (running !== undefined) return running;
    const account = await serverAccount();
    // mkdtemp makes 0700; the server's account must get through.
    if (account) await chmod(folder, 0o711);
    const server = await startPostgres({
      secretsFolder: path.join(folder, 'secrets'),
      folder: path.join(folder, 'reachable'),
      logFile: path.join(folder, 'postgres.log'),
      account,
      progress,
    });
    servers.push(server);
    return server.adminUrl;
  }

  async function temporal(): Promise<string | null> {
    const running = process.env.BEACON_TEST_TEMPORAL_ADDRESS;
    if (running !== undefined) return running;
    if (process.env.BEACON_TEST_TEMPORAL === 'off') return null;
    const stateFolder = path.join(import.meta.dirname, '../.beacon');
    const binary = await findTemporalBinary({ stateFolder, progress });
    const server = await startTemporal({
      binary: binary.path,
      folder: null,
      logFile: path.join(folder, 'temporal.log'),
      progress,
    });
    servers.push(server);
    return server.address;
  }
}
