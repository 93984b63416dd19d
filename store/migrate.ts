import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { runner } from 'node-pg-migrate';
import pg from 'pg';

/** `store/migrations` beside the sources, also when this runs from `dist/`. */
const here = path.dirname(fileURLToPath(import.meta.url));
const MIGRATIONS = path.join(here.replace(/([\\/])dist([\\/])store$/, '$1store'), 'migrations');

/** Key of the advisory lock that lets one migration run at a time; any constant will do. */
const MIGRATION_LOCK = 7_235_091_448;

/**
 * Brings the schema `beacon` of `databaseUrl` up to date. Any number of processes may call it at once: one works, the
 * others wait for it. Returns the names of the migrations that this call ran.
 */
export async function migrate(databaseUrl: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'beacon migrate' });
  await client.connect();
  try {
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    const ran = await runner({
      dbClient: client,
      dir: MIGRATIONS,
      direction: 'up',
      migrationsTable: 'migrations',
      schema: 'beacon',
      createSchema: true,
      noLock: true,
      singleTransaction: true,
      logger: {
        debug: () => undefined,
        info: () => undefined,
        warn: () => undefined,
        error: () => undefined,
      },
    });
    return ran.map((migration) => migration.name);
  } finally {
    await client.end();
  }
}
