import { readFile, mkdtemp, rm } from 'node:fs/promises';
import { createServer, connect, type Server } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createBusinessEvents } from '../observability/events.ts';
import { createLogger } from '../observability/log.ts';
import { createMetrics } from '../observability/metrics.ts';
import { givePositions } from '../store/feed.ts';
import { createNotifier, createWakeups, type Notifier, type Wakeups } from '../store/notify.ts';
import {
  OPERATOR_TOKEN,
  signedJob,
  testKey,
  testSettings,
  type TestApiOptions,
} from '../test/support/api.ts';
import { readTrustMode } from '../store/trust-mode.ts';
import { testDatabase, type TestDatabase } from '../test/support/postgres.ts';
import { startApi, type Api } from './server.ts';
import type { ListenSettings } from './settings.ts';

let db: TestDatabase;
let notifier: Notifier;
let wakeups: Wakeups;
let folder: string;
const started: AsyncDisposable[] = [];
const metrics = createMetrics();

beforeAll(async () => {
  db = await testDatabase();
  notifier = createNotifier(db.pool);
  wakeups = await createWakeups(db.url);
});
afterAll(async () => {
  await notifier[Symbol.asyncDispose]();
  await wakeups[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'beacon-api-'));
});
afterEach(async () => {
  for (const part of started.splice(0)) await part[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function start(listen: Partial<ListenSettings> = {}, options: TestApiOptions = {}): Promise<Api> {
  const settings = testSettings(options);
  const log = createLogger('test', 'silent');
  const api = await startApi({
    settings: { ...settings, listen: { ...settings.listen, ...listen } },
    version: '0.0.0-test',
    pool: db.pool,
    notifier,
    wakeups,
    log,
    events: createBusinessEvents(log, metrics),
    probes: [],
    renderMetrics: async () => ({ contentType: 'text/plain', body: '' }),
  });
  started.push(api);
  return api;
}

/** A port that somebody else holds. */
async function taken(host = '127.0.0.1'): Promise<number> {
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  started.push({
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  });
  return (server.address() as { port: number }).port;
}

const reach = (host: string, port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect({ host, port }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
const outside = Object.values(os.networkInterfaces())
  .flat()
  .find((address) => address !== undefined && !address.internal && address.family === 'IPv4')?.address;
const hasIpv6 = Object.values(os.networkInterfaces())
  .flat()
  .some((address) => address?.address === '::1');

describe('while trust is open', () => {
  test('only loopback is served, whatever HTTP_PORT says', async () => {
    const { port, address } = await start({ host: '0.0.0.0' });
    expect(address).toBe(`http://127.0.0.1:${port}`);
    expect(await reach('127.0.0.1', port)).toBe(true);
    if (outside !== undefined) expect(await reach(outside, port)).toBe(false);
  });

  test.skipIf(!hasIpv6)('both loopback addresses are served (skipped without IPv6)', async () => {
    const { port } = await start();
    for (const host of ['127.0.0.1', '[::1]', 'localhost']) {
      expect(await (await fetch(`http://${host}:${port}/health/live`)).json(), host).toEqual({
        status: 'alive',
      });
    }
  });

  test.skipIf(outside === undefined)(
    'more is served when the operator allows it (skipped without a network)',
    async () => {
      const { port } = await start({}, { trust: { allowOpen: true } });
      expect((await fetch(`http://${outside!}:${port}/health/live`)).status).toBe(200);
    },
  );
});

test('what the API may be reached by and from whom it takes jobs stands in the database for the workers', async () => {
  const modes: [Partial<ListenSettings>, TestApiOptions['trust'], object][] = [
    [{ host: '0.0.0.0' }, {}, { open: true, loopback_only: true }],
    [{ host: '0.0.0.0' }, { allowOpen: true }, { open: true, loopback_only: false }],
    [{ host: '127.0.0.1' }, { allowOpen: true }, { open: true, loopback_only: true }],
    [{}, { enforce: true, keysJson: '[]' }, { open: false, loopback_only: false }],
  ];
  for (const [listen, trust, mode] of modes) {
    await start(listen, { trust: trust ?? {} });
    expect(await readTrustMode(db.pool)).toEqual(mode);
  }
});

describe('a port that is taken', () => {
  test('is named when nothing else may be used', async () => {
    const port = await taken();
    await expect(start({ port, strategy: 'strict' })).rejects.toMatchObject({
      code: 'port_taken',
      message: expect.stringContaining(String(port)),
    });
  });

  test('is replaced by the next free one of the range, and the address file says which', async () => {
    const port = await taken();
    const next = await taken();
    const addressFile = path.join(folder, 'address');
    const api = await start({ port, strategy: 'fallback', range: [next, next + 20], addressFile });
    expect(api.port).toBeGreaterThan(next);
    expect(await readFile(addressFile, 'utf8')).toBe(`${api.address}\n`);
  });

  test.skipIf(!hasIpv6)('on the other loopback address counts as taken (skipped without IPv6)', async () => {
    const port = await taken('::1');
    await expect(start({ port, strategy: 'strict' })).rejects.toMatchObject({ code: 'port_taken' });
  });
});

describe('over a real socket', () => {
  test('a job is submitted, followed on /ws and read', async () => {
    const { address } = await start();
    const spec = signedJob(testKey());
    const { WebSocket } = await import('ws');
    const socket = new WebSocket(`${address.replace('http', 'ws')}/ws?from=start`);
    await new Promise((resolve) => socket.once('open', resolve));
    const answer = await fetch(`${address}/api/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(spec),
    });
    expect(answer.status).toBe(202);
    expect((await fetch(`${address}/api/v1/jobs/${String(spec.id)}`)).status).toBe(200);
    socket.terminate();
  });

  test.each(hasIpv6 ? ['127.0.0.1', '[::1]'] : ['127.0.0.1'])(
    'stopping closes the feed of a client on %s and waits for nobody',
    async (host) => {
      const api = await start();
      const { WebSocket } = await import('ws');
      const socket = new WebSocket(`ws://${host}:${api.port}/ws`);
      const closed = new Promise((resolve) => socket.once('close', resolve));
      await new Promise((resolve) => socket.once('message', resolve));
      await api[Symbol.asyncDispose]();
      expect(await closed).toBe(1001);
    },
  );

  test('an operator sees private events on /ws, stored ones and live ones; a wrong token sees public ones', async () => {
    const { address } = await start();
    const { WebSocket } = await import('ws');
    const submit = async (visibility: string): Promise<string> => {
      const spec = signedJob(testKey(), { visibility });
      const answer = await fetch(`${address}/api/v1/jobs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(spec),
      });
      expect(answer.status).toBe(202);
      await givePositions(db.pool);
      notifier.notify('feed');
      return String(spec.id);
    };
    const follow = async (token: string) => {
      const socket = new WebSocket(`${address.replace('http', 'ws')}/ws?from=start`, {
        headers: { authorization: `Bearer ${token}` },
      });
      let text = '';
      socket.on('message', (data: Buffer) => (text += data.toString()));
      const saw = (word: string) => vi.waitFor(() => expect(text).toContain(word), { timeout: 10_000 });
      await saw('feed.live');
      return { socket, saw, text: () => text };
    };
    const before = await submit('private');
    const operator = await follow(OPERATOR_TOKEN);
    const stranger = await follow(`${OPERATOR_TOKEN}x`);
    const after = await submit('private');
    const open = await submit('public');
    for (const id of [before, after, open]) await operator.saw(id);
    await stranger.saw(open);
    expect(stranger.text()).not.toContain(before);
    expect(stranger.text()).not.toContain(after);
    for (const { socket } of [operator, stranger]) socket.terminate();
  });

  test('/ws without an upgrade says what is missing', async () => {
    const { address } = await start();
    const answer = await fetch(`${address}/ws`);
    expect(answer.status).toBe(426);
    expect(answer.headers.get('upgrade')).toBe('websocket');
    expect(await answer.json()).toMatchObject({ code: 'upgrade_required', request_id: expect.any(String) });
  });

  test('the upgrade of a foreign page is refused', async () => {
    const { address } = await start();
    const { WebSocket } = await import('ws');
    const socket = new WebSocket(`${address.replace('http', 'ws')}/ws`, { origin: 'https://evil.example' });
    const status = await new Promise((resolve) =>
      socket.once('unexpected-response', (_request, response) => resolve(response.statusCode)),
    );
    expect(status).toBe(403);
    socket.on('error', () => undefined);
    socket.terminate();
  });

  test('what is no HTTP gets an answer in our shape', async () => {
    const { port } = await start();
    const text = await new Promise<string>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => socket.write('HELLO\r\n\r\n'));
      let received = '';
      socket.on('data', (chunk: Buffer) => (received += chunk.toString()));
      socket.on('close', () => resolve(received));
    });
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(JSON.parse(text.slice(text.indexOf('{')))).toMatchObject({
      code: 'bad_request',
      request_id: expect.any(String),
    });
  });

  test('stopping answers what is under way and frees the port', async () => {
    const api = await start();
    const body = JSON.stringify(signedJob(testKey()));
    const submit = () =>
      fetch(`${api.address}/api/v1/jobs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
    expect((await submit()).status).toBe(202);
    // What the server has not taken up yet may be cut off; what it took up is answered.
    const answers = Promise.allSettled(Array.from({ length: 8 }, submit));
    await api[Symbol.asyncDispose]();
    for (const answer of await answers) {
      if (answer.status === 'fulfilled') expect([200, 503]).toContain(answer.value.status);
    }
    expect(await reach('127.0.0.1', api.port)).toBe(false);
  });
});
