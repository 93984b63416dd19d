import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createBusinessEvents } from '../../observability/events.ts';
import { createLogger } from '../../observability/log.ts';
import { createMetrics, type Metrics } from '../../observability/metrics.ts';
import { readPublishBacklog } from '../../store/publications.ts';
import { givePositions } from '../../store/feed.ts';
import { OPERATOR_TOKEN, signedJob, testApi, testKey, type TestApi } from '../../test/support/api.ts';
import { attestedLog, type AttestedLog } from '../../test/support/attested.ts';
import { goProgram } from '../../test/support/go-program.ts';
import { startKubo, type TestKubo } from '../../test/support/kubo.ts';
import { describeNeeding } from '../../test/support/needing.ts';
import { startPinningService, type FakePinningService } from '../../test/support/pinning-service.ts';
import { createKubo } from './kubo.ts';
import { createPinningService } from './pinning-service.ts';
import { createPublisher, type Publisher } from './publisher.ts';
import type { PublishTarget } from './target.ts';

const program = await goProgram('kubo');
const large = randomBytes(2 * 1024 * 1024 + 3);
const signal = new AbortController().signal;
let api: TestApi;
let log: AttestedLog;
let metrics: Metrics;

beforeEach(async () => {
  api = await testApi();
  log = await attestedLog(api.db);
  metrics = createMetrics();
});
afterEach(async () => {
  await log[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

async function endedJob(over: object = {}, file?: Uint8Array): Promise<string> {
  const constraints = { regions: ['US'], min_regions: 1 };
  const { json } = await api.post(signedJob(testKey(), { questions: [], constraints, ...over }));
  await log.endJob(json.id as string, `I am ${json.id as string}.`, file);
  await givePositions(api.db.pool);
  return json.id as string;
}

function publisherOf(targets: PublishTarget[], replication = targets.length): Publisher {
  const events = createBusinessEvents(createLogger('test', 'silent'), metrics);
  return createPublisher({ pool: api.db.pool, targets, replication, events, committed: () => undefined });
}

interface JobFacts {
  directory_cid: string;
  publications: { target: string; spare: boolean; pinned_at: string | null }[];
}
const factsOf = async (job: string): Promise<JobFacts> =>
  (await api.get(`/api/v1/jobs/${job}/directory`)).json as JobFacts;
const toldOf = async (job: string): Promise<string[]> => {
  const { json } = await api.get(`/api/v1/jobs/${job}/events?after_seq=0`);
  return (json.events as { type: string }[])
    .map(({ type }) => type)
    .filter((type) => type.startsWith('ipfs.'));
};
/** As if all waiting were over. */
const passTime = () =>
  api.db.pool
    .query('update publications set next_at = now() where next_at is not null')
    .then(() => api.db.pool.query('update publish_targets set not_before = now()'));

describeNeeding('to a real Kubo', program.missing, () => {
  let kubo: TestKubo;
  beforeAll(async () => {
    kubo = await startKubo(program.path);
  }, 60_000);
  afterAll(() => kubo[Symbol.asyncDispose]());
  const target = () => createKubo({ name: 'kubo', url: kubo.url });
  const pins = async () =>
    Object.keys(
      (JSON.parse(await kubo.rpc('pin/ls?type=recursive')) as { Keys: Record<string, object> }).Keys,
    );

  test('jobs are stored and pinned under the CID that we say, private ones never; offline nothing is announced', async () => {
    const job = await endedJob({}, large);
    const hidden = await endedJob({ visibility: 'private' });
    const publisher = publisherOf([target()]);
    expect(await publisher.batch('kubo', signal)).toEqual({ tried: 1, more: false });
    const facts = await factsOf(job);
    expect(facts.publications).toEqual([
      {
        target: 'kubo',
        kind: 'kubo',
        stored_at: expect.any(String),
        pinned_at: expect.any(String),
        announced_at: null,
        removed_at: null,
        spare: false,
        note: expect.stringContaining('offline'),
      },
    ]);
    expect(await pins()).toContain(facts.directory_cid);
    expect(await toldOf(job)).toEqual(['ipfs.stored', 'ipfs.pinned']);
    const operator = { authorization: `Bearer ${OPERATOR_TOKEN}` };
    const secret = (await api.get(`/api/v1/jobs/${hidden}/directory`, operator)).json;
    expect(secret.publications).toEqual([]);
    expect(await pins()).not.toContain(secret.directory_cid);
    // Kubo itself reads the file out of the tree.
    const { executions } = (await api.get(`/api/v1/jobs/${job}/executions`)).json;
    const path = `${facts.directory_cid}/executions/${executions[0].id}/files/notes/answer.html`;
    const read = await fetch(`${kubo.url}/api/v0/cat?arg=${path}`, { method: 'POST' });
    expect(Buffer.from(await read.arrayBuffer()).equals(large)).toBe(true);
    // A second time nothing is left to be removed.
    for (let i = 0; i < 2; i++) await target().remove(facts.directory_cid, signal);
    expect(await pins()).not.toContain(facts.directory_cid);
    // Nothing is due, so nothing is done.
    expect(await publisher.batch('kubo', signal)).toEqual({ tried: 0, more: false });
    const counted = await metrics.ipfsPinOperations.get();
    expect(counted.values).toMatchObject([{ labels: { target: 'kubo', result: 'pinned' }, value: 1 }]);
  });

  test('Kubo makes the same CIDs of the same files', async () => {
    const form = new FormData();
    form.append('file', new Blob([large]), 'answer.html');
    const query = 'add?cid-version=1&raw-leaves=true&chunker=size-1048576&max-file-links=1024&only-hash=true';
    const added = await fetch(`${kubo.url}/api/v0/${query}`, { method: 'POST', body: form });
    const { Hash } = (await added.json()) as { Hash: string };
    const job = await endedJob({}, large);
    const { executions } = (await api.get(`/api/v1/jobs/${job}/executions`)).json;
    const { json } = await api.get(`/api/v1/executions/${executions[0].id}`);
    expect(json.files[0].cid).toBe(Hash);
  });

  test('what is damaged here is not published, and what Kubo reads otherwise is not believed', async () => {
    const job = await endedJob();
    const { directory_cid: cid } = await factsOf(job);
    const other = await endedJob();
    const { directory_cid: otherCid } = await factsOf(other);
    const car = Buffer.from((await api.get(`/ipfs/${otherCid}?format=car`)).raw);
    const pieces = async function* (bytes: Uint8Array) {
      yield bytes;
    };
    await expect(target().importCar(cid, pieces(car), signal)).rejects.toThrow(/instead of/);
    const flipped = Buffer.from(car);
    flipped[flipped.length - 3]! ^= 1;
    await expect(target().importCar(otherCid, pieces(flipped), signal)).rejects.toThrow(/Kubo/);
    await expect(target().importCar(otherCid, pieces(car.subarray(0, -9)), signal)).rejects.toThrow(/Kubo/);
  });

  test('a tree that cannot be read here keeps no other from being published', async () => {
    const damaged = await endedJob({}, large);
    await api.db.pool.query(
      'update blobs set bytes = set_byte(bytes, 0, 255 - get_byte(bytes, 0)) where leaf_cid is not null and part = 0',
    );
    const job = await endedJob();
    const publisher = publisherOf([target()]);
    expect(await publisher.batch('kubo', signal)).toEqual({ tried: 2, more: false });
    expect((await factsOf(damaged)).publications).toMatchObject([
      { pinned_at: null, note: expect.stringContaining('damaged') },
    ]);
    expect(await pins()).toContain((await factsOf(job)).directory_cid);
  });

  test('a backlog of an outage is drained afterwards, in batches and without hammering', async () => {
    const jobs: string[] = [];
    for (let i = 0; i < 25; i++) jobs.push(await endedJob());
    await kubo.stop();
    const publisher = publisherOf([target()]);
    expect(await publisher.batch('kubo', signal)).toEqual({ tried: 0, more: false });
    // One try for all of them; the next only after a pause that grows.
    expect(await publisher.batch('kubo', signal)).toEqual({ tried: 0, more: false });
    const failed = async () => (await metrics.ipfsPinOperations.get()).values[0]!.value;
    expect(await failed()).toBe(1);
    expect((await readPublishBacklog(api.db.pool))[0]).toMatchObject({ target: 'kubo', unpublished: 25 });
    const pause = async () =>
      (
        await api.db.pool.query<{ ms: number }>(
          'select extract(epoch from not_before - now())::float8 * 1000 as ms from publish_targets',
        )
      ).rows[0]!.ms;
    const first = await pause();
    await passTime();
    await publisher.batch('kubo', signal);
    expect(await failed()).toBe(2);
    expect(await pause()).toBeGreaterThan(first * 1.5);
    await kubo.start();
    await passTime();
    const again = publisherOf([target()]);
    expect(await again.batch('kubo', signal)).toEqual({ tried: 20, more: true });
    expect(await again.batch('kubo', signal)).toEqual({ tried: 5, more: false });
    expect((await readPublishBacklog(api.db.pool))[0]).toMatchObject({ unpublished: 0 });
    const held = await pins();
    for (const job of jobs) expect(held).toContain((await factsOf(job)).directory_cid);
  }, 60_000);
});

test('announcing is a fact of its own: tried again when it fails, told when it holds', async () => {
  let provides = 0;
  const seen: string[] = [];
  // Written by hand, as we understand Kubo: announcing for real needs a network.
  const fake = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const url = new URL(request.url ?? '', 'http://localhost');
      seen.push(`${request.method} ${url.pathname}`);
      if (url.pathname.endsWith('/dag/import')) {
        const cid = /bafybei[a-z2-7]{52}/.exec(wanted)![0];
        response.end(
          `{"Root":{"Cid":{"/":"${cid}"},"PinErrorMsg":""}}\n{"Stats":{"BlockCount":7,"BlockBytesCount":9}}\n`,
        );
      } else if (++provides === 1) {
        response.writeHead(500, { 'content-type': 'application/json' });
        response.end('{"Message":"failed to find any peer in table","Code":0,"Type":"error"}\n');
      } else response.end('{"ID":"12D3KooW","Type":4,"Responses":null,"Extra":""}\n');
    })();
  });
  await new Promise<void>((resolve) => fake.listen(0, '127.0.0.1', resolve));
  const job = await endedJob();
  const wanted = (await factsOf(job)).directory_cid;
  const url = `http://127.0.0.1:${(fake.address() as AddressInfo).port}`;
  const publisher = publisherOf([createKubo({ name: 'kubo', url })]);
  try {
    await publisher.batch('kubo', signal);
    expect((await factsOf(job)).publications[0]).toMatchObject({
      announced_at: null,
      note: expect.stringContaining('any peer'),
    });
    await passTime();
    await publisher.batch('kubo', signal);
    expect((await factsOf(job)).publications[0]).toMatchObject({
      announced_at: expect.any(String),
      note: null,
    });
    expect(await toldOf(job)).toEqual(['ipfs.stored', 'ipfs.pinned', 'ipfs.announced']);
    // It was imported once.
    expect(seen.filter((one) => one.includes('import'))).toHaveLength(1);
  } finally {
    fake.closeAllConnections();
    await new Promise((resolve) => fake.close(resolve));
  }
});

describe('to pinning services', () => {
  let services: FakePinningService[];
  beforeEach(async () => {
    services = await Promise.all([startPinningService(), startPinningService(), startPinningService()]);
  });
  afterEach(() => Promise.all(services.map((service) => service[Symbol.asyncDispose]())));
  const origins = async () => ['/ip4/127.0.0.1/tcp/4001/p2p/12D3KooW'];
  const targets = () =>
    services.map(({ endpoint, token }, i) =>
      createPinningService({ name: `service-${i}`, endpoint, token, origins }),
    );
  const all = async (publisher: Publisher) => {
    for (const name of publisher.targets) await publisher.batch(name, signal);
  };

  test('a tree is asked for once, looked after, and told when it is pinned', async () => {
    const job = await endedJob();
    const publisher = publisherOf(targets().slice(0, 1));
    await all(publisher);
    const { directory_cid: cid, publications } = await factsOf(job);
    expect(publications[0]).toMatchObject({ stored_at: null, pinned_at: null, note: 'queued' });
    expect(services[0]!.pins).toMatchObject([
      { pin: { cid, name: `beacon ${job}`, origins: [expect.stringContaining('12D3KooW')] } },
    ]);
    services[0]!.next = 'pinning';
    await passTime();
    await all(publisher);
    expect((await factsOf(job)).publications[0]).toMatchObject({ pinned_at: null, note: 'pinning' });
    services[0]!.next = 'pinned';
    // The answer to the first request was lost: it is found again by its CID.
    await api.db.pool.query('update publications set request_id = null');
    await passTime();
    await all(publisher);
    await passTime();
    await all(publisher);
    expect((await factsOf(job)).publications[0]).toMatchObject({ pinned_at: expect.any(String), note: null });
    expect(await toldOf(job)).toEqual(['ipfs.stored', 'ipfs.pinned']);
    expect(services[0]!.requests.filter((one) => one.startsWith('POST'))).toHaveLength(1);
    for (let i = 0; i < 2; i++) await targets()[0]!.remove(cid, signal);
    expect(services[0]!.pins).toEqual([]);
  });

  test('as many services hold a tree as the replication factor says; one that fails is replaced', async () => {
    const jobs: string[] = [];
    for (let i = 0; i < 6; i++) jobs.push(await endedJob());
    const publisher = publisherOf(targets(), 2);
    await all(publisher);
    const held = () => services.map(({ pins }) => pins.length);
    expect(held().reduce((sum, n) => sum + n)).toBe(12);
    for (const job of jobs)
      expect((await factsOf(job)).publications.filter((one) => one.spare)).toHaveLength(1);
    services[0]!.next = 'failed';
    for (let i = 0; i < 8; i++) {
      await passTime();
      await all(publisher);
    }
    for (const job of jobs) {
      const { publications } = await factsOf(job);
      expect(publications.filter((one) => one.pinned_at !== null)).toHaveLength(2);
    }
    expect(held().slice(1)).toEqual([6, 6]);
  });

  test('a service that is down or refuses our token is left alone; the others go on', async () => {
    await endedJob();
    await endedJob();
    const publisher = publisherOf(targets());
    services[0]!.broken = 503;
    services[1]!.token = 'another';
    await all(publisher);
    expect(services.map(({ requests }) => requests.length)).toEqual([1, 1, 4]);
    const { rows } = await api.db.pool.query(
      'select target, failures, last_error from publish_targets order by target',
    );
    expect(rows).toMatchObject([
      { target: 'service-0', failures: 1, last_error: expect.stringContaining('503') },
      { target: 'service-1', failures: 1, last_error: expect.stringContaining('401') },
      { target: 'service-2', failures: 0, last_error: null },
    ]);
    expect(JSON.stringify(rows)).not.toContain('secret-of-the-tests');
  });
});
