// A real worker is killed while its attempts stand in six different phases. It takes as long as a lost heartbeat does,
// which is the point; all phases share that wait.
import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { Big } from 'big.js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { build, isStale } from '../../tools/build.js';
import type { Core } from '../support/core.ts';
import { eventually } from '../support/eventually.ts';
import { expectWhole } from '../support/whole-job.ts';
import type { ProviderScript } from '../yagna/provider.ts';
import type { Yagna } from '../yagna/yagna.ts';
import { golemEnvironment, jobStand, ONLY_GOLEM, type JobStand } from './stand.ts';

const main = path.join(import.meta.dirname, '../../dist/cli/main.js');
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

let stand: JobStand;
let yagna: Yagna;
let core: Core;
const workers: ChildProcess[] = [];

beforeAll(async () => {
  if (isStale()) await build();
  stand = await jobStand(REGIONS.map((region) => ({ name: region, region, faults: STUCK[region]! })));
  ({ yagna, core } = stand);
}, 180_000);
afterAll(async () => {
  for (const worker of workers) worker.kill('SIGKILL');
  await stand[Symbol.asyncDispose]();
});

function startWorker(): ChildProcess {
  const worker = spawn(process.execPath, [main, 'worker', '--queues', 'backend-golem'], {
    env: {
      PATH: process.env.PATH,
      ...core.env,
      ...golemEnvironment(yagna),
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
    ONLY_GOLEM,
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
