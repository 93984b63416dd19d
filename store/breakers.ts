import { withTransaction, type Pool, type Queryable } from './pool.ts';

/** A process reports every few seconds; what was not heard of for longer does not count. */
const SILENT_AFTER_S = 20;

export interface BreakerRow {
  name: string;
  process: string;
  state: 'closed' | 'open' | 'half_open';
  forced: boolean;
  requests: number;
  successes: number;
  failures: number;
  rejected: number;
  lastFailure: string | null;
}

export interface BreakerOrder {
  name: string;
  action: 'open' | 'reset';
  /** Rises with each order. */
  version: number;
}

/** Says how a process's breaker stands, and answers what an operator last ordered for it. */
export async function reportBreaker(db: Queryable, row: BreakerRow): Promise<BreakerOrder | undefined> {
  const { name, process, ...stats } = row;
  const { rows } = await db.query<BreakerOrder>(
    `with old as (
       delete from circuit_breakers where updated_at < now() - interval '1 hour'
     ), mine as (
       insert into circuit_breakers (name, process, stats) values ($1, $2, $3)
       on conflict (name, process) do update set stats = excluded.stats, updated_at = now()
     )
     select name, action, version from breaker_orders where name = $1`,
    [name, process, JSON.stringify(stats)],
  );
  return rows[0];
}

/** The process ends: it has no breaker any more. */
export async function forgetBreaker(db: Queryable, name: string, process: string): Promise<void> {
  await db.query('delete from circuit_breakers where name = $1 and process = $2', [name, process]);
}

/** Of all processes that were heard of lately, by name. */
export async function readBreakers(db: Queryable): Promise<BreakerRow[]> {
  const { rows } = await db.query<{
    name: string;
    process: string;
    stats: Omit<BreakerRow, 'name' | 'process'>;
  }>(
    `select name, process, stats from circuit_breakers
     where updated_at > now() - $1 * interval '1 second' order by name, process`,
    [SILENT_AFTER_S],
  );
  return rows.map(({ name, process, stats }) => ({ name, process, ...stats }));
}

/** An operator's order to the breakers of a name, or all that there are; answers the names. */
export function orderBreakers(
  pool: Pool,
  order: { name: string | null; action: 'open' | 'reset'; actor: string },
): Promise<string[]> {
  return withTransaction(pool, async (tx) => {
    const known = [...new Set((await readBreakers(tx)).map(({ name }) => name))];
    const names = known.filter((name) => order.name === null || name === order.name);
    await tx.query(
      `insert into breaker_orders as o (name, action, actor) select unnest($1::text[]), $2, $3
       on conflict (name) do update
       set action = excluded.action, actor = excluded.actor, version = o.version + 1, ordered_at = now()`,
      [names, order.action, order.actor],
    );
    return names;
  });
}
