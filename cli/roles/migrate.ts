import type { Values } from '../../config/variables.ts';
import type { Log } from '../../observability/log.ts';
import { migrate } from '../../store/migrate.ts';
import { requireDatabaseUrl } from '../../worker/process.ts';

/** `beacon migrate`: as the role that owns the schema. */
export async function migrateDatabase(settings: Values, log: Log): Promise<void> {
  const ran = await migrate(requireDatabaseUrl(settings));
  log.info({ migrations: ran }, ran.length === 0 ? 'database is up to date' : 'database migrated');
}
