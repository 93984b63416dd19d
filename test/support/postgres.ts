import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { inject } from 'vitest';
import { migrate } from '../../store/migrate.ts';
import { createPool, type Pool } from '../../store/pool.ts';

/** Key of the advisory lock under which the template is made; any constant will do. */
const TEMPLATE_LOCK = 7_235_091_449;
/** A closed pool's sessions are gone within milliseconds; what is still there after this is a leak. */
const SESSIONS_GONE_MS = 3_000;
const MIGRATIONS = path.join(import.meta.dirname, '../../store/migrations');

export interface TestDatabase extends AsyncDisposable {
  /** Connects as the database's owner. */
  url: string;
  /** As the services use it: role `beacon_app`, schema `beacon`. */
  pool: Pool;
}

/** The run's one real server, as superuser. */
export function adminUrl(): string {
  return process.env.BEACON_TEST_POSTGRES_URL ?? inject('postgresUrl');
}

function urlOf(database: string): string {
  const url = new URL(adminUrl());
  url.pathname = `/${database}`;
  return url.href;
}

async function asAdmin<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: adminUrl(), application_name: 'beacon test support' });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** A migrated database, named by the content of the migrations, made once. */
async function template(client: pg.Client): Promise<string> {
  const hash = createHash('sha256');
  for (const name of readdirSync(MIGRATIONS).sort()) {
    hash.update(`${name}\0`).update(readFileSync(path.join(MIGRATIONS, name)));
  }
  const name = `beacon_template_${hash.digest('hex').slice(0, 12)}`;
  const known = async () =>
    ((await client.query('select from pg_database where datname = $1', [name])).rowCount ?? 0) > 0;
  if (await known()) return name;
  await client.query('select pg_advisory_lock($1)', [TEMPLATE_LOCK]);
  try {
    if (await known()) return name;
    const fresh = `${name}_new`;
    await client.query(`drop database if exists ${fresh} with (force)`);
    await client.query(`create database ${fresh}`);
    await migrate(urlOf(fresh));
    await sessionsGone(client, fresh);
    await client.query(`alter database ${fresh} rename to ${name}`);
    return name;
  } finally {
    await client.query('select pg_advisory_unlock($1)', [TEMPLATE_LOCK]);
  }
}

/** Waits until nobody is connected; the sessions that stay, in words. */
async function sessionsGone(client: pg.Client, database: string): Promise<string[]> {
  const deadline = performance.now() + SESSIONS_GONE_MS;
  for (;;) {
    const { rows } = await client.query<{ session: string }>(
      `select application_name || ': ' || state || ': ' || left(query, 80) as session
         from pg_stat_activity where datname = $1 and backend_type = 'client backend'`,
      [database],
    );
    if (rows.length === 0 || performance.now() > deadline) return rows.map((row) => row.session);
    await sleep(10);
  }
}

export interface TestDatabaseOptions {
  /** False: an empty database, for tests of the migrations themselves. */
  migrated?: boolean;
}

/**
 * A fresh migrated database on the run's one real PostgreSQL, cloned from a template. Disposing it ends `pool`, fails
 * when the test left sessions open, and drops it.
 */
export async function testDatabase({ migrated = true }: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const name = `beacon_test_${randomBytes(8).toString('hex')}`;
  await asAdmin(async (client) => {
    const from = migrated ? ` template ${await template(client)}` : '';
    await client.query(`create database ${name}${from}`);
  });
  const url = urlOf(name);
  const pool = createPool({ databaseUrl: url, name: 'test' });
  return {
    url,
    pool,
    async [Symbol.asyncDispose]() {
      if (!pool.ended) await pool.end();
      const left = await asAdmin(async (client) => {
        const sessions = await sessionsGone(client, name);
        await client.query(`drop database if exists ${name} with (force)`);
        return sessions;
      });
      if (left.length > 0) throw new Error(`the test left database sessions open:\n${left.join('\n')}`);
    },
  };
}
