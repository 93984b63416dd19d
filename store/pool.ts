import pg from 'pg';

export type Queryable = Pick<pg.Pool, 'query'>;
export type Transaction = pg.PoolClient;
export type Pool = pg.Pool;

/** How long one statement may take before PostgreSQL ends it; a longer one is a fault, not work. */
const STATEMENT_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 5_000;

// bigint columns are counts, sizes and positions below 2^53: read them as numbers.
pg.types.setTypeParser(pg.types.builtins.INT8, (text) => {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`bigint ${text} does not fit a number`);
  return value;
});
// `json` is kept as written: read it as text where bytes matter, parsed here for everything else.

export interface PoolOptions {
  databaseUrl: string;
  /** Connections of this process; default 10. */
  max?: number;
  /** Shown in pg_stat_activity. */
  name: string;
  /**
   * Keeps one plan for each prepared statement, whatever its parameters: for processes whose prepared statements all look
   * up by key. PostgreSQL would plan those with arrays again each time, which costs more than running them.
   */
  fixedPlans?: boolean;
  /** Turns the role switch off, for the migrating role's own tools. Default `beacon_app`. */
  role?: string | null;
}

/** A pool whose sessions work in the schema `beacon` with the rights of `beacon_app` only, and always commit to disk. */
export function createPool({
  databaseUrl,
  max = 10,
  name,
  fixedPlans = false,
  role = 'beacon_app',
}: PoolOptions): Pool {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max,
    application_name: `beacon ${name}`,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
    keepAlive: true,
    // pg awaits what this returns, its types do not say so.
    onConnect: ((client) =>
      client.query(
        [
          'set search_path = beacon',
          'set synchronous_commit = on',
          ...(fixedPlans ? ['set plan_cache_mode = force_generic_plan'] : []),
          ...(role === null ? [] : [`set role ${pg.escapeIdentifier(role)}`]),
        ].join(';'),
      )) as NonNullable<pg.PoolConfig['onConnect']>,
  });
  // A connection that dies, idle or between two statements of a transaction, must not end the process: the query under
  // way or the next one fails, and another connection is opened.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/**
 * A statement of the hot path: each connection parses and plans it once. `name` must be its own; changing the text of a
 * statement that is in use is safe, because every process brings its own connections.
 */
export function prepared(name: string, text: string): (values: unknown[]) => pg.QueryConfig {
  return (values) => ({ name, text, values });
}

/** The same pool for statements of which at most `atOnce` run at a time, in the order in which they came. */
export function narrowed(pool: Queryable, atOnce: number): Queryable {
  const waiting: (() => void)[] = [];
  let running = 0;
  const query = async (...statement: unknown[]): Promise<unknown> => {
    if (running < atOnce) running++;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await (pool.query as (...of: unknown[]) => Promise<unknown>).apply(pool, statement);
    } finally {
      // The place goes straight to the next in line, so `running` stays.
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
  return { query: query as Queryable['query'] };
}

/** Runs `work` in one transaction; rolls back and rethrows when it throws. */
export async function withTransaction<T>(pool: Pool, work: (tx: Transaction) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch((cause: unknown) => {
      broken = cause instanceof Error ? cause : new Error(String(cause));
    });
    throw error;
  } finally {
    client.release(broken);
  }
}
