// A real worker is killed while its attempts stand in six different phases. It takes as long as a lost heartbeat does,
// which is the point; all phases share that wait.
import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { Big } from 'big.js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { build, isStale } from '../../tools/build.js';
import { startCore, type Core } from '../support/core.ts';
import { eventually } from '../support/eventually.ts';
import { scriptedBackend } from '../support/scripted-backend.ts';
import { expectWhole } from '../support/whole-job.ts';
import type { ProviderScript } from '../yagna/provider.ts';
import { startYagna, type Yagna } from '../yagna/yagna.ts';

const main = path.join(import.meta.dirname, '../../dist/cli/main.js');
const plan = { backends: { '*': ['golem'] } };
/** What keeps the first attempt of each region where it is. */
const STUCK: Record<string, ProviderScript['faults']> = {
  US: [{ at: 'counter', do: 'silent', times: 1 }],
  EU: [{ at: 'approval', do: 'never', times: 1 }],
  APAC: [{ at: 'create-activity', do: 'hang', times: 1 }],
  CA: [{ at: 'deploy', do: 'hang', times: 1 }],
  SA: [{ at: 'transfer', do: 'hang', times: 1 }],
  AF: [{ at: 'run', do: 'hang', times: 1 }],
};
const REGIONS = Object.keys(STUCK);

let yagna: Yagna;
let core: Core;
const workers: ChildProcess[] = [];

beforeAll(async () => {
  if (isStale()) await build();
  yagna = await startYagna({
    providers: REGIONS.map((region) => ({ name: region, region, faults: STUCK[region]! })),
  });
  core = await startCore(scriptedBackend(() => ({ kind: 'answer', text: 'local' })));
}, 180_000);
afterAll(async () => {
  for (const worker of workers) worker.kill('SIGKILL');
  await core[Symbol.asyncDispose]();
  await yagna.stop();
});

function startWorker(): ChildProcess {
  const [image] = yagna.images;
  const worker = spawn(process.execPath, [main, 'worker', '--queues', 'backend-golem'], {
    env: {
      PATH: process.env.PATH,
      ...core.env,
      YAGNA_URL: yagna.url,
      GOLEM_API_KEY: yagna.key,
      GOLEM_IMAGES: JSON.stringify({ 'builtin:worker': { url: image!.url, sha3_224: image!.sha3 } }),
      LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  workers.push(worker);
  return worker;
}

it('a worker that is killed in the middle of six attempts costs nothing twice, and its job ends right', async () => {
  const first = startWorker();
  const job = await core.start(
    { image: 'builtin:worker', command: ['echo', 'answered'], regions: REGIONS },
    plan,
  );
  // Each provider is where its fault keeps it: a demand, a pending agreement, an approved one, three activities.
  await eventually(() => (yagna.faultsLeft().length === 0 ? true : undefined), 30_000);
  first.kill('SIGKILL');
  startWorker();
  expect(await core.ended(job, 120_000)).toBe('completed');
  await expectWhole(core, job);
  const { rows } = await core.db.pool.query<{ state: string; count: number }>(
    `select a.state, count(*)::int from attempts a join executions e on e.id = a.execution_id
     where e.job_id = $1 group by 1 order by 1`,
    [job],
  );
  expect(rows).toEqual([
    { state: 'lost', count: 6 },
    { state: 'succeeded', count: 6 },
  ]);
  const books = yagna.books();
  expect([books.openAgreements, books.openActivities, books.openDemands]).toEqual([[], [], []]);
  expect(books.problems.filter((problem) => problem.includes('paid'))).toEqual([]);
  // The wallet's own journal: no document was paid twice, and no agreement got more than its work was worth.
  const payments = yagna.payments();
  expect(new Set(payments.map(({ document }) => document)).size).toBe(payments.length);
  for (const { agreementId, honest } of books.agreements) {
    const paid = payments.filter(({ agreement }) => agreement === agreementId);
    const total = paid.reduce((sum, { amount }) => sum.plus(amount), new Big(0));
    expect(total.lte(honest), `${total.toFixed()} of ${honest} for ${agreementId}`).toBe(true);
  }
  // What succeeded was paid, by one invoice each.
  const { rows: paid } = await core.db.pool.query<{ agreement: string }>(
    `select a.external_ids->>'agreement' as agreement from attempts a
     join executions e on e.id = a.execution_id where e.job_id = $1 and a.state = 'succeeded'`,
    [job],
  );
  for (const { agreement } of paid)
    expect(payments.filter((one) => one.kind === 'invoice' && one.agreement === agreement)).toHaveLength(1);
}, 240_000);
