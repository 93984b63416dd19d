import { afterEach, expect, it, onTestFinished } from 'vitest';
import { readSettings } from '../config/settings.ts';
import { createLogger } from '../observability/log.ts';
import { eventually } from '../test/support/eventually.ts';
import { testDatabase } from '../test/support/postgres.ts';
import { testTemporal } from '../test/support/temporal.ts';
import { temporaryFolder } from '../test/support/temporary-folder.ts';
import { startRelayRole } from './relay-role.ts';
import { startWorkerRole } from './worker-role.ts';
import { loopCheck } from './role-health.ts';
import { startRoleServer, type RoleCheck, type RoleServer } from './role-server.ts';

const silent = createLogger('test', 'silent');
let server: RoleServer | undefined;
afterEach(async () => {
  await server?.[Symbol.asyncDispose]();
  server = undefined;
});

async function serve(checks: RoleCheck[]): Promise<string> {
  const renderMetrics = async () => ({ contentType: 'text/plain', body: 'up 1\n' });
  server = await startRoleServer({ listen: { host: null, port: 0 }, checks, renderMetrics, log: silent });
  return server.url;
}

it('is ready while every check passes, and names the one that does not', async () => {
  let ill = false;
  const url = await serve([
    { name: 'quick', check: () => undefined },
    {
      name: 'sometimes',
      check() {
        if (ill) throw new Error('not today');
      },
    },
  ]);
  expect((await fetch(`${url}/health/ready`)).status).toBe(200);
  ill = true;
  const answer = await fetch(`${url}/health/ready`);
  expect(answer.status).toBe(503);
  expect(await answer.json()).toMatchObject({
    ready: false,
    services: [
      { name: 'quick', status: 'healthy' },
      { name: 'sometimes', status: 'unhealthy', error: 'not today' },
    ],
  });
  expect((await fetch(`${url}/health/live`)).status).toBe(200);
  expect(await (await fetch(`${url}/metrics`)).text()).toBe('up 1\n');
  expect((await fetch(`${url}/elsewhere`)).status).toBe(404);
  expect((await fetch(`${url}/metrics`, { method: 'POST' })).status).toBe(405);
});

it('does not wait for a check that never answers', async () => {
  const url = await serve([{ name: 'stuck', check: () => new Promise<never>(() => undefined) }]);
  expect((await fetch(`${url}/health/ready`)).status).toBe(503);
});

it('takes a loop for ill when it struggles, not when it waits', () => {
  const checkOf = (ms: number) => () => loopCheck({ name: 'loop', strugglingMs: () => ms }).check();
  expect(checkOf(29_000)).not.toThrow();
  expect(checkOf(31_000)).toThrow('no pass succeeded for 31 s');
});

it('a port that is taken stops the start and is named', async () => {
  const { port } = new URL(await serve([]));
  const taken = { host: null, port: Number(port) };
  const again = startRoleServer({
    listen: taken,
    checks: [],
    renderMetrics: () => Promise.reject(new Error()),
    log: silent,
  });
  await expect(again).rejects.toThrow(`ROLE_PORT: cannot listen on 127.0.0.1:${port}`);
});

it('shows a real relay and a real worker', async () => {
  const db = await testDatabase();
  const { address, namespace } = await testTemporal();
  const folder = await temporaryFolder();
  onTestFinished(async () => {
    await db[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });
  const urls: string[] = [];
  const log = createLogger('test', 'info', {
    destination: {
      write(line) {
        const { url } = JSON.parse(line) as { url?: string };
        if (url !== undefined) urls.push(url);
      },
    },
  });
  const settings = readSettings({
    DATABASE_URL: db.url,
    TEMPORAL_ADDRESS: address,
    TEMPORAL_NAMESPACE: namespace,
    BEACON_STATE: folder.path,
    ROLE_PORT: '0',
  });
  await using _relay = await startRelayRole(settings, log);
  await using _worker = await startWorkerRole(settings, log, ['beacon']);
  expect(urls).toHaveLength(2);
  const names = await Promise.all(
    urls.map((url) =>
      eventually(async () => {
        const answer = await fetch(`${url}/health/ready`);
        const { services } = (await answer.json()) as { services: { name: string }[] };
        return answer.status === 200 ? services.map(({ name }) => name) : undefined;
      }),
    ),
  );
  expect(names).toEqual([
    [
      'database',
      'temporal',
      'sequencer',
      'relay',
      'feed positions',
      'reconciler',
      'log audit',
      'blob sweep',
      'publish schedules',
    ],
    ['database', 'temporal', 'task queues'],
  ]);
  const text = await (await fetch(`${urls[1]!}/metrics`)).text();
  expect(text).toContain('process_cpu_seconds_total');
  expect(text).not.toContain('outbox_published_total');
});
