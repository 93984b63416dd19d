import { Client, Connection } from '@temporalio/client';
import pg from 'pg';
import { expect, test } from 'vitest';
import { adminUrl, testDatabase } from './postgres.ts';
import { testTemporal } from './temporal.ts';

test('each test database is migrated, apart from the others, and gone afterwards', async () => {
  let url: string;
  {
    await using one = await testDatabase();
    await using two = await testDatabase();
    url = one.url;
    await one.pool.query("insert into settings (key, value) values ('mine', '1')");
    const count = 'select count(*) as n, current_user as role from settings where key = $1 group by 2';
    expect((await one.pool.query(count, ['mine'])).rows).toEqual([{ n: 1, role: 'beacon_app' }]);
    expect((await two.pool.query(count, ['mine'])).rows).toEqual([]);
  }
  const client = new pg.Client({ connectionString: url });
  await expect(client.connect()).rejects.toThrow(/does not exist/);
});

test('a session left open is told when its database goes', async () => {
  const database = await testDatabase();
  const client = new pg.Client({ connectionString: database.url, application_name: 'the leak' });
  client.on('error', () => undefined);
  await client.connect();
  await expect(database[Symbol.asyncDispose]()).rejects.toThrow(/the leak/);
});

test('the server keeps what it acknowledged: fsync and synchronous_commit are on', async () => {
  const client = new pg.Client({ connectionString: adminUrl() });
  await client.connect();
  const { rows } = await client.query(
    "select name, setting from pg_settings where name in ('fsync', 'synchronous_commit', 'full_page_writes')",
  );
  await client.end();
  expect(rows.map((row: { setting: string }) => row.setting)).toEqual(['on', 'on', 'on']);
});

test('each caller has a Temporal namespace of its own that takes workflows at once', async () => {
  await using one = await testTemporal();
  await using two = await testTemporal();
  const connection = await Connection.connect({ address: one.address });
  for (const { namespace } of [one, two]) {
    const client = new Client({ connection, namespace });
    const started = await client.workflow.start('none', { workflowId: 'same', taskQueue: 'none' });
    expect((await started.describe()).status.name).toBe('RUNNING');
  }
  await connection.close();
});
