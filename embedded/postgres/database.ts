import pg from 'pg';

export interface DatabaseWanted {
  database: string;
  /** Owns the database; may create roles, is no superuser. */
  role: string;
  password: string;
}

/** Makes the role and its database, or sets the role's password anew. */
export async function ensureDatabase(adminUrl: string, wanted: DatabaseWanted): Promise<void> {
  const role = pg.escapeIdentifier(wanted.role);
  const database = pg.escapeIdentifier(wanted.database);
  const password = pg.escapeLiteral(wanted.password);
  const client = new pg.Client({ connectionString: adminUrl, application_name: 'beacon setup' });
  await client.connect();
  try {
    const roles = await client.query('select from pg_roles where rolname = $1', [wanted.role]);
    await client.query(
      `${roles.rowCount === 0 ? 'create' : 'alter'} role ${role} with login createrole password ${password}`,
    );
    const databases = await client.query('select from pg_database where datname = $1', [wanted.database]);
    if (databases.rowCount === 0) await client.query(`create database ${database} owner ${role}`);
  } finally {
    await client.end();
  }
}
