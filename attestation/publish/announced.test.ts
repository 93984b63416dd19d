import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBusinessEvents } from '../../observability/events.ts';
import { createLogger } from '../../observability/log.ts';
import { createMetrics } from '../../observability/metrics.ts';
import { givePositions } from '../../store/feed.ts';
import { signedJob, testApi, testKey, type TestApi } from '../../test/support/api.ts';
import { attestedLog, type AttestedLog } from '../../test/support/attested.ts';
import { eventually } from '../../test/support/eventually.ts';
import { goProgram } from '../../test/support/go-program.ts';
import { newSwarmKey, startKubo, type TestKubo } from '../../test/support/kubo.ts';
import { describeNeeding } from '../../test/support/needing.ts';
import { createKubo } from './kubo.ts';
import { createPublisher } from './publisher.ts';

const program = await goProgram('kubo');

describeNeeding('between two real Kubos of a private swarm', program.missing, () => {
  let api: TestApi;
  let log: AttestedLog;
  /** Ours, and that of a stranger who knows nothing but a CID. */
  let [ours, theirs]: TestKubo[] = [];

  beforeAll(async () => {
    api = await testApi();
    log = await attestedLog(api.db);
    const swarmKey = newSwarmKey();
    [ours, theirs] = await Promise.all([1, 2].map(() => startKubo(program.path, { swarmKey })));
    const { Addresses: addresses } = JSON.parse(await ours!.rpc('id')) as { Addresses: string[] };
    await theirs!.rpc(`swarm/connect?arg=${addresses[0]!}`);
  }, 60_000);
  afterAll(async () => {
    for (const part of [log, api, ours!, theirs!]) await part[Symbol.asyncDispose]();
  });

  test('what is published is announced, and found and read by who has its CID alone', async () => {
    const constraints = { regions: ['US'], min_regions: 1 };
    const job = (await api.post(signedJob(testKey(), { questions: [], constraints }))).json.id as string;
    await log.endJob(job, 'This is for everybody.');
    await givePositions(api.db.pool);
    const publisher = createPublisher({
      pool: api.db.pool,
      targets: [createKubo({ name: 'kubo', url: ours!.url })],
      replication: 1,
      events: createBusinessEvents(createLogger('test', 'silent'), createMetrics()),
      committed: () => undefined,
    });
    const facts = await eventually(async () => {
      await api.db.pool.query('update publications set next_at = now() where next_at is not null');
      await publisher.batch('kubo', new AbortController().signal);
      const { json } = await api.get(`/api/v1/jobs/${job}/directory`);
      const found = json as { directory_cid: string; publications: { announced_at: string | null }[] };
      return found.publications[0]?.announced_at == null ? undefined : found;
    });
    expect(facts.publications).toMatchObject([{ pinned_at: expect.any(String), note: null }]);

    const { ID: id } = JSON.parse(await ours!.rpc('id')) as { ID: string };
    const cid = facts.directory_cid;
    expect(await theirs!.rpc(`routing/findprovs?arg=${cid}&num-providers=1`)).toContain(id);
    const { executions } = (await api.get(`/api/v1/jobs/${job}/executions`)).json;
    const name = `${cid}/executions/${executions[0].id}/files/notes/answer.html`;
    expect(await theirs!.rpc(`cat?arg=${name}`)).toBe('This is for everybody.');
  });
});
