import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { newReceiptKey, receiptKey } from '../attestation/keys/receipt-key.ts';
import { createKubo } from '../attestation/publish/kubo.ts';
import { createPinningService } from '../attestation/publish/pinning-service.ts';
import { createPublisher, type Publisher } from '../attestation/publish/publisher.ts';
import type { PublishTarget } from '../attestation/publish/target.ts';
import { main } from '../cli/command-line.ts';
import { createBusinessEvents } from '../observability/events.ts';
import { createLogger } from '../observability/log.ts';
import { createMetrics } from '../observability/metrics.ts';
import { getEndedJob, keepDirectory } from '../store/blocks.ts';
import { givePositions } from '../store/feed.ts';
import { readPublishBacklog } from '../store/publications.ts';
import { signedJob, testApi, testKey, type TestApi } from '../test/support/api.ts';
import { attestedLog, type AttestedLog } from '../test/support/attested.ts';
import { eventually } from '../test/support/eventually.ts';
import { goProgram } from '../test/support/go-program.ts';
import { startKubo } from '../test/support/kubo.ts';
import { describeNeeding } from '../test/support/needing.ts';
import { startPinningService, type FakePinningService } from '../test/support/pinning-service.ts';
import { recordedIo } from '../test/support/recorded-io.ts';
import { temporaryFolder } from '../test/support/temporary-folder.ts';

const program = await goProgram('kubo');
const signal = new AbortController().signal;
let api: TestApi;
let log: AttestedLog;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let services: FakePinningService[];

beforeAll(async () => {
  api = await testApi();
  const privateKey = newReceiptKey();
  log = await attestedLog(api.db, receiptKey(privateKey));
  folder = await temporaryFolder();
  log.startSequencing();
  const keys = path.join(folder.path, '.beacon', 'keys');
  await mkdir(keys, { recursive: true, mode: 0o700 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  await writeFile(path.join(keys, 'receipt.pem'), pem, { mode: 0o600 });
});
afterAll(async () => {
  await log[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});
beforeEach(async () => {
  services = await Promise.all([startPinningService(), startPinningService()]);
  for (const service of services) service.next = 'pinned';
});
afterEach(() => Promise.all(services.map((service) => service[Symbol.asyncDispose]())));

/** A job that ended, with its executions in the log. */
async function ended(output: string): Promise<string> {
  const job = (await api.post(signedJob(testKey(), { questions: [] }))).json.id as string;
  await log.endJob(job, output);
  await eventually(async () =>
    (await api.get(`/api/v1/jobs/${job}/bundle`)).status === 200 ? true : undefined,
  );
  await givePositions(api.db.pool);
  return job;
}

const service = (at: number): PublishTarget => {
  const { endpoint, token } = services[at]!;
  return createPinningService({ name: `service-${at}`, endpoint, token, origins: async () => [] });
};

function publisherOf(...targets: PublishTarget[]): Publisher {
  const events = createBusinessEvents(createLogger('test', 'silent'), createMetrics());
  const options = { replication: targets.length, events, committed: () => undefined };
  return createPublisher({ pool: api.db.pool, targets, ...options });
}

/** As if all waiting were over, one batch at each place. */
async function turn(publisher: Publisher): Promise<void> {
  await api.db.pool.query('update publications set next_at = now() where next_at is not null');
  await api.db.pool.query('update publish_targets set not_before = now()');
  for (const target of publisher.targets) await publisher.batch(target, signal);
}

async function erase(...words: string[]) {
  const io = recordedIo({ cwd: folder.path, env: { DATABASE_URL: api.db.url } });
  const code = await main(['erase', ...words, '--reason', 'asked for', '--json'], io);
  expect([code, io.err()]).toEqual([0, expect.not.stringContaining('error')]);
  return JSON.parse(io.out()) as { published: object[] };
}

/** Erases while the publisher goes on. */
async function eraseBeside(publisher: Publisher, ...words: string[]) {
  const over = new AbortController();
  const erasing = erase(...words).finally(() => over.abort());
  while (!over.signal.aborted) await turn(publisher);
  return erasing;
}

const directoryOf = async (job: string) =>
  (await api.get(`/api/v1/jobs/${job}/directory`)).json as {
    directory_cid: string;
    publications: { target: string; removed_at: string | null; note: string | null }[];
  };
const asked = (at: number) => services[at]!.requests.filter((one) => one.startsWith('POST')).length;
const UNPINNED = { removed_at: expect.any(String), note: expect.stringContaining('may persist') };

test('each place is asked to unpin, and what it answers is kept; one that is down is asked later', async () => {
  const job = await ended('published, then erased');
  const publisher = publisherOf(service(0), service(1));
  for (let i = 0; i < 2; i++) await turn(publisher);
  const { directory_cid: cid, publications } = await directoryOf(job);
  expect(publications).toMatchObject([{ pinned_at: expect.any(String) }, { pinned_at: expect.any(String) }]);
  services[1]!.broken = 503;
  const { published } = await eraseBeside(publisher, `${job}#1`);
  expect(published).toEqual([
    { job_id: job, target: 'service-0', cid, ...UNPINNED },
    { job_id: job, target: 'service-1', cid, removed_at: null, note: expect.stringContaining('503') },
  ]);
  expect(services.map(({ pins }) => pins.length)).toEqual([0, 1]);

  services[1]!.broken = undefined;
  await turn(publisher);
  expect(services[1]!.pins).toEqual([]);
  const now = await directoryOf(job);
  expect(now.publications).toMatchObject([UNPINNED, UNPINNED]);
  expect(now.directory_cid).not.toBe(cid);
  expect((await api.get(`/ipfs/${cid}?format=car`)).status).toBe(410);
  // Neither the old tree nor what is left of it goes there again.
  await turn(publisher);
  expect(services.map((_service, at) => asked(at))).toEqual([1, 1]);
  expect(services.map(({ pins }) => pins)).toEqual([[], []]);
  for (const { unpublished } of await readPublishBacklog(api.db.pool)) expect(unpublished).toBe(0);
  // Asked once more, the answers are still known.
  expect((await erase(`${job}#1`)).published).toMatchObject([UNPINNED, UNPINNED]);
});

test('what is erased while it is being published is unpinned afterwards', async () => {
  const job = await ended('erased under way');
  const real = service(0);
  let erasing: Promise<{ published: object[] }> | undefined;
  const slow: PublishTarget = {
    ...real,
    async publish(tree, given) {
      erasing = erase(`${job}#2`);
      await eventually(async () => {
        const { rowCount } = await api.db.pool.query(
          'select from publications where job_id = $1 and withdrawn_at is not null',
          [job],
        );
        return rowCount === 1 ? true : undefined;
      });
      return real.publish(tree, given);
    },
  };
  await turn(publisherOf(slow));
  expect(services[0]!.pins).toHaveLength(1);
  await turn(publisherOf(real));
  expect(services[0]!.pins).toEqual([]);
  expect((await erasing!).published).toMatchObject([UNPINNED]);
  await turn(publisherOf(real));
  expect(asked(0)).toBe(1);
});

test('of a job of which something was erased before, nothing is published', async () => {
  const job = await ended('never published');
  expect((await erase(`${job}#1`)).published).toEqual([]);
  await turn(publisherOf(service(0)));
  await turn(publisherOf(service(0)));
  expect(services[0]!.requests).toEqual([]);
  expect((await directoryOf(job)).publications).toMatchObject([
    { stored_at: null, removed_at: null, note: expect.stringContaining('before it was published') },
  ]);
});

test('a directory that was made of what was erased meanwhile is not kept', async () => {
  const job = await ended('read before, kept after');
  const before = (await getEndedJob(api.db.pool, job))!;
  await erase(`${job}#1`);
  const made = { jobId: job, cid: 'bafybei', visibleTo: 'all', erased: before.erased, nodes: [] };
  expect(await keepDirectory(api.db.pool, made)).toBe(false);
  expect((await getEndedJob(api.db.pool, job))!.directory_cid).toBeNull();
  expect(await keepDirectory(api.db.pool, { ...made, erased: 1 })).toBe(true);
});

describeNeeding('at a real Kubo', program.missing, () => {
  test('the tree is unpinned', async () => {
    await using kubo = await startKubo(program.path);
    const job = await ended('at Kubo');
    const publisher = publisherOf(createKubo({ name: 'kubo', url: kubo.url }));
    await turn(publisher);
    const { directory_cid: cid } = await directoryOf(job);
    const pins = () => kubo.rpc('pin/ls?type=recursive');
    expect(await pins()).toContain(cid);
    const { published } = await eraseBeside(publisher, job, '--job');
    expect(published).toEqual([{ job_id: job, target: 'kubo', cid, ...UNPINNED }]);
    expect(await pins()).not.toContain(cid);
  }, 60_000);
});
