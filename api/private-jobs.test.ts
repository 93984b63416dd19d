import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { signRead } from '../domain/signing/signed-read.ts';
import { createNotifier, createWakeups } from '../store/notify.ts';
import { createBusinessEvents } from '../observability/events.ts';
import { createLogger } from '../observability/log.ts';
import { createMetrics } from '../observability/metrics.ts';
import { startFeedPositions } from '../worker/feed-positions.ts';
import {
  OPERATOR_TOKEN,
  signedJob,
  testApi,
  testKey,
  type TestApi,
  type TestKey,
} from '../test/support/api.ts';
import { attestedLog, type AttestedLog } from '../test/support/attested.ts';
import { readFeedOf } from '../test/support/feed-stand.ts';
import { createFeed } from './feed/feed.ts';

const owner = testKey();
const stranger = testKey();
let api: TestApi;
let log: AttestedLog;
let job: string;
let open: string;
let execution: { id: string; number: number; ipfs_cid: string; job_id: string };
let summary: string;
let manifest: string;
let directory: string;

beforeAll(async () => {
  api = await testApi();
  log = await attestedLog(api.db);
  const submit = async (over: object) =>
    (await api.post(signedJob(owner, { questions: [], ...over }))).json.id as string;
  job = await submit({ visibility: 'private' });
  open = await submit({});
  await log.endJob(job, 'a secret');
  await log.endJob(open, 'no secret');
  log.startSequencing();
  await log.sizeReaches(9);
  execution = (await as(owner, `/api/v1/jobs/${job}/executions`)).json.executions[0];
  directory = (await as(owner, `/api/v1/jobs/${job}/directory`)).json.directory_cid;
  ({ summary_cid: summary, manifest_cid: manifest } = (await as(owner, `/api/v1/jobs/${job}`)).json.job);
});
afterAll(async () => {
  await log[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

function header(key: TestKey, path: string, over: Partial<Parameters<typeof signRead>[0]> = {}) {
  const read = { method: 'GET', path, timestamp: new Date().toISOString(), nonce: randomUUID(), ...over };
  return { 'beacon-signature': signRead(read, key) };
}
const as = (key: TestKey, path: string) => api.get(path, header(key, path));

/** Every route about a job, an execution or bytes: what it is asked for, and a name that nobody has in its place. */
function routes(): [string, string][] {
  const none = '00000000-0000-7000-8000-000000000000';
  const noCid = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku';
  const ofJob = ['', '/spec', '/executions', '/events', '/bundle'].map((path): [string, string] => [
    `/api/v1/jobs/${job}${path}`,
    `/api/v1/jobs/none${path}`,
  ]);
  const ofExecution = [
    '/details',
    '/receipt',
    '/logs',
    '/output',
    '/files/notes%2Fanswer.html',
    '/bundle',
  ].flatMap((path): [string, string][] => [
    [`/api/v1/executions/${execution.id}${path}`, `/api/v1/executions/${none}${path}`],
    [`/api/v1/executions/${execution.number}${path}`, `/api/v1/executions/4000000000${path}`],
  ]);
  const ofCid = [execution.ipfs_cid, summary, manifest].map((cid): [string, string] => [
    `/api/v1/transparency/bundles/${cid}`,
    `/api/v1/transparency/bundles/${noCid}`,
  ]);
  const ofGateway = [execution.ipfs_cid, directory].flatMap((cid): [string, string][] =>
    ['raw', 'car'].map((format) => [`/ipfs/${cid}?format=${format}`, `/ipfs/${noCid}?format=${format}`]),
  );
  const proofs: [string, string][] = [
    [`execution_id=${execution.id}`, `execution_id=${none}`],
    [`ipfs_cid=${execution.ipfs_cid}`, `ipfs_cid=${noCid}`],
    [`ipfs_cid=${summary}`, `ipfs_cid=${noCid}`],
  ];
  const asked = proofs.map(([one, other]): [string, string] => [
    `/api/v1/transparency/proof?${one}`,
    `/api/v1/transparency/proof?${other}`,
  ]);
  return [...ofJob, ...ofExecution, ...ofCid, ...ofGateway, ...asked];
}

describe('a private job', () => {
  test('is what its owner reads on every route, and to all others as if it were not', async () => {
    for (const [path, unknown] of routes()) {
      expect((await as(owner, path)).status, path).toBe(200);
      const nothing = await api.get(unknown);
      for (const answer of [await api.get(path), await as(stranger, path)]) {
        const { request_id: _one, ...body } = answer.json;
        const { request_id: _other, ...expected } = nothing.json;
        expect([answer.status, body], path).toEqual([nothing.status, expected]);
      }
      const operator = await api.get(path, { authorization: `Bearer ${OPERATOR_TOKEN}` });
      expect(operator.status, path).toBe(200);
    }
  });

  test('stands in the lists of its owner, and in nobody else’s', async () => {
    for (const path of ['/api/v1/jobs?limit=10', '/api/v1/executions?limit=10']) {
      expect((await as(owner, path)).text, path).toContain(job);
      for (const answer of [await api.get(path), await as(stranger, path)]) {
        expect(answer.text, path).toContain(open);
        expect(answer.text, path).not.toContain(job);
      }
    }
  });

  test('stands in the entries of the log for its owner alone, and its leaf for all', async () => {
    for (const query of [`execution_id=${execution.id}`, `job_id=${job}`, `ipfs_cid=${execution.ipfs_cid}`]) {
      const path = `/api/v1/transparency/entries?${query}`;
      expect((await as(owner, path)).text, path).toContain(execution.id);
      expect((await as(stranger, path)).text, path).not.toContain(execution.id);
    }
    const path = `/api/v1/transparency/proof?execution_id=${execution.id}`;
    const { leaf_index: index, leaf } = (await as(owner, path)).json;
    const { json } = await as(stranger, `/api/v1/transparency/proof?index=${index}`);
    expect(json.leaf).toBe(leaf);
    expect(JSON.stringify(json)).not.toContain(execution.id);
  });
});

describe('a signed read', () => {
  const path = () => `/api/v1/jobs/${job}`;

  test('is good once', async () => {
    const headers = header(owner, path());
    expect((await api.get(path(), headers)).status).toBe(200);
    expect(await api.get(path(), headers)).toMatchObject({ status: 400, json: { code: 'replay_detected' } });
  });

  test('is good for what was signed, within five minutes', async () => {
    const minutes = (n: number) => new Date(Date.now() + n * 60_000).toISOString();
    const bad: Record<string, string>[] = [
      header(owner, `${path()}?include=executions`),
      header(owner, path(), { method: 'POST' }),
      header(owner, path(), { timestamp: minutes(-6) }),
      header(owner, path(), { timestamp: minutes(6) }),
      header(owner, path(), { timestamp: 'now' }),
      header({ ...owner, publicKey: stranger.publicKey }, path()),
      { 'beacon-signature': '' },
      { 'beacon-signature': `${header(owner, path())['beacon-signature']}, more="x"` },
      { 'beacon-signature': header(owner, path())['beacon-signature'].replace(/"$/, '=') },
    ];
    for (const headers of bad) {
      expect(await api.get(path(), headers), JSON.stringify(headers)).toMatchObject({
        status: 401,
        json: { code: 'invalid_signed_request' },
      });
    }
    expect((await api.get(path(), header(owner, path(), { timestamp: minutes(-4) }))).status).toBe(200);
  });
});

test('the feed shows a private job to whoever comes with a ticket of its owner, once', async () => {
  const notifier = createNotifier(api.db.pool);
  const silent = createLogger('test', 'silent');
  const wakeups = await createWakeups(api.db.url);
  const positions = startFeedPositions({ pool: api.db.pool, notifier, wakeups, log: silent });
  const events = createBusinessEvents(silent, createMetrics());
  const feed = createFeed({ pool: api.db.pool, wakeups, log: silent, events, refusal: () => undefined });
  feed.attach(api.app.server);
  const url = (await api.app.listen({ host: '127.0.0.1', port: 0 })).replace('http', 'ws');
  const tickets = '/api/v1/feed/tickets';
  const ticketOf = async (key: TestKey) => {
    const headers = header(key, tickets, { method: 'POST' });
    const answer = await api.app.inject({ method: 'POST', url: tickets, headers });
    expect(answer.statusCode).toBe(201);
    return answer.json<{ ticket: string }>().ticket;
  };
  try {
    const ticket = await ticketOf(owner);
    const mine = readFeedOf(`${url}/ws?from=start&job_id=${job}&ticket=${ticket}`, {});
    expect(await mine.message('job.completed')).toMatchObject({ job_id: job });
    mine.socket.terminate();
    for (const query of [`&ticket=${await ticketOf(stranger)}`, '']) {
      const theirs = readFeedOf(`${url}/ws?from=start&job_id=${job}${query}`, {});
      await theirs.message('feed.live');
      expect(theirs.events()).toEqual([]);
      theirs.socket.terminate();
    }
    for (const used of [ticket, 'none']) {
      const refused = await new Promise<number>((resolve) => {
        const { socket } = readFeedOf(`${url}/ws?ticket=${used}`, {});
        socket.on('unexpected-response', (_request, response) => resolve(response.statusCode!));
        socket.on('error', () => undefined);
      });
      expect(refused).toBe(401);
    }
    const unsigned = await api.app.inject({ method: 'POST', url: tickets });
    expect(unsigned.statusCode).toBe(401);
  } finally {
    await feed[Symbol.asyncDispose]();
    await positions[Symbol.asyncDispose]();
    await notifier[Symbol.asyncDispose]();
    await wakeups[Symbol.asyncDispose]();
  }
});

test('nonces of keys that never come back go as well', async () => {
  await api.db.pool.query(
    `insert into request_nonces (owner, nonce, used_at)
     select 'gone-' || n, 'once', now() - interval '2 hours' from generate_series(1, 12) n`,
  );
  for (let i = 0; i < 2; i++) await as(testKey(), `/api/v1/jobs/${open}`);
  const { rowCount } = await api.db.pool.query("select from request_nonces where owner like 'gone-%'");
  expect(rowCount).toBe(0);
});
