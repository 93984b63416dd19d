/** Fast filling of tables: without their indexes, which are made again from their own definitions. */

/**
 * Runs each `fill` on its table in one transaction, keeping the rows that it has; as many at once as there are `admins`.
 * A table truncated in the same transaction needs no write-ahead log where `wal_level` is minimal. Foreign keys are
 * checked at the end.
 *
 * @param {import('pg').Client[]} admins sessions of the superuser
 * @param {{ prepare: string, tables: { table: string, fill: string }[], finish: string }} rows
 * @param {(text: string) => void} say
 */
export async function refillTables(admins, { prepare, tables, finish }, say) {
  const [admin] = admins;
  const foreign = await constraints(admin, `contype = 'f' and connamespace = 'beacon'::regnamespace`);
  for (const { table, name } of foreign) await admin.query(`alter table ${table} drop constraint ${name}`);
  await admin.query(prepare);
  say('the plan of the rows');
  const left = [...tables];
  await Promise.all(
    admins.map(async (session) => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        await refill(session, next);
        say(next.table);
      }
    }),
  );
  await admin.query(finish);
  for (const { table, name, definition } of foreign)
    await admin.query(`alter table ${table} add constraint ${name} ${definition}`);
  say('foreign keys');
}

async function refill(admin, { table, fill }) {
  await admin.query('begin');
  const keys = await constraints(admin, `contype in ('p', 'u') and conrelid = '${table}'::regclass`);
  for (const { name } of keys) await admin.query(`alter table ${table} drop constraint ${name}`);
  const { rows: indexes } = await admin.query(
    `select indexrelid::regclass as name, pg_get_indexdef(indexrelid) as definition
     from pg_index where indrelid = $1::regclass`,
    [table],
  );
  for (const { name } of indexes) await admin.query(`drop index ${name}`);
  await admin.query(`create temp table kept on commit drop as select * from ${table}`);
  await admin.query(`truncate ${table}`);
  await admin.query(`insert into ${table} overriding system value select * from kept`);
  await admin.query(fill);
  for (const { name, definition } of keys)
    await admin.query(`alter table ${table} add constraint ${name} ${definition}`);
  for (const { definition } of indexes) await admin.query(definition);
  await admin.query('commit');
}

async function constraints(admin, condition) {
  const { rows } = await admin.query(
    `select conrelid::regclass as "table", conname as name, pg_get_constraintdef(oid) as definition
     from pg_constraint where ${condition} order by contype`,
  );
  return rows;
}
