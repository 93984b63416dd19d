import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createPublishActivities } from '../activities/publish.ts';
import { createLogger } from '../observability/log.ts';
import { eventually } from '../test/support/eventually.ts';
import { testTemporal, type TestTemporal } from '../test/support/temporal.ts';
import { applySchedules } from './publish-schedules.ts';
import { startTemporalWorkers } from './temporal-workers.ts';

const log = createLogger('test', 'silent');
let temporal: TestTemporal;
let connection: Connection;
let client: Client;
const settings = () => ({ address: temporal.address, namespace: temporal.namespace, taskQueue: 'beacon' });
const scheduled = async () => {
  const ids: string[] = [];
  for await (const { scheduleId } of client.schedule.list()) ids.push(scheduleId);
  return ids.sort();
};

beforeEach(async () => {
  temporal = await testTemporal();
  connection = await Connection.connect({ address: temporal.address });
  client = new Client({ connection, namespace: temporal.namespace });
});
afterEach(() => connection.close());

test('there is one schedule for each configured place, and none without', async () => {
  await applySchedules(settings(), [], 60_000);
  expect(await scheduled()).toEqual([]);
  await applySchedules(settings(), ['kubo', 'a'], 60_000);
  await applySchedules(settings(), ['kubo', 'a'], 30_000);
  await eventually(async () => ((await scheduled()).length === 2 ? true : undefined));
  expect(await scheduled()).toEqual(['publish/a', 'publish/kubo']);
  const { spec, policies } = await client.schedule.getHandle('publish/kubo').describe();
  expect([spec.intervals?.[0]?.every, policies.overlap]).toEqual([30_000, 'SKIP']);
  await applySchedules(settings(), ['kubo'], 30_000);
  await eventually(async () => ((await scheduled()).length === 1 ? true : undefined));
  expect(await scheduled()).toEqual(['publish/kubo']);
});

test('a scheduled workflow runs batches until nothing is due', async () => {
  let left = 3;
  const asked: string[] = [];
  const publisher = {
    targets: ['kubo'],
    batch: async (target: string) => {
      asked.push(target);
      return { tried: 20, more: --left > 0 };
    },
  };
  await using _workers = await startTemporalWorkers(
    settings(),
    [
      { name: 'beacon', activities: {} },
      { name: 'publish', activities: createPublishActivities(publisher) },
    ],
    log,
  );
  await applySchedules(settings(), ['kubo'], 3_600_000);
  await client.schedule.getHandle('publish/kubo').trigger();
  await eventually(async () => (asked.length === 3 ? true : undefined));
  const done = await eventually(async () => {
    for await (const { workflowId, status } of client.workflow.list())
      if (workflowId.startsWith('publish/kubo') && status.name === 'COMPLETED') return workflowId;
    return undefined;
  });
  const handle = client.workflow.getHandle(done);
  expect(await handle.result()).toBe(60);
  if (process.env.BEACON_RECORD_HISTORIES === '1') {
    const history = JSON.parse(historyToJSON(await handle.fetchHistory())) as object;
    const file = path.join(import.meta.dirname, '../test/histories/publish/completed.json');
    await writeFile(file, `${JSON.stringify({ id: done, history })}\n`);
  }
});
