import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GolemBackend } from '../../backends/golem/index.ts';
import { requestCancel } from '../../store/cancel.ts';
import { relayOnce } from '../../worker/relay.ts';
import { startCore, type Core } from '../support/core.ts';
import { eventually } from '../support/eventually.ts';
import { golemOn, IMAGE } from '../support/golem.ts';
import { scriptedBackend } from '../support/scripted-backend.ts';
import { expectWhole } from '../support/whole-job.ts';
import { startYagna, type Yagna } from '../yagna/yagna.ts';

const plan = { backends: { '*': ['golem'] } };

let yagna: Yagna;
let golem: GolemBackend;
let core: Core;

beforeAll(async () => {
  yagna = await startYagna({ providers: [{ region: 'US' }, { region: 'EU' }, { region: 'APAC' }] });
  golem = golemOn(yagna);
  core = await startCore(
    scriptedBackend(() => ({ kind: 'answer', text: 'local' })),
    { golem },
  );
});
afterAll(async () => {
  await core[Symbol.asyncDispose]();
  await golem[Symbol.asyncDispose]();
  await yagna.stop();
});

const working = async (): Promise<true> =>
  eventually(() => (yagna.books().openActivities.length > 0 ? true : undefined));
const open = (): number => {
  const { openActivities, openAgreements } = yagna.books();
  return openActivities.length + openAgreements.length;
};

describe('a job on Golem', { timeout: 60_000 }, () => {
  it('runs in each of its regions, pays what was asked, and its receipts say so', async () => {
    const job = await core.start(
      { image: IMAGE, command: ['sh', '-c', 'cat "$BEACON_INPUT"'], regions: ['US', 'EU', 'APAC'] },
      plan,
    );
    expect(await core.ended(job)).toBe('completed');
    await expectWhole(core, job);
    const { rows } = await core.db.pool.query<{
      receipt: { provider: string; cost: object; region: object };
    }>(
      `select convert_from(b.bytes, 'UTF8')::json as receipt
       from receipts r join blocks b on b.digest = r.digest where r.job_id = $1`,
      [job],
    );
    const paid = yagna
      .books()
      .agreements.map(({ providerId, accepted }) => ({ providerId, accepted: Number(accepted) }));
    for (const { receipt } of rows) {
      expect(receipt).toMatchObject({ region: { verified: false }, cost: { state: 'accepted' } });
      const { accepted } = receipt.cost as { accepted: string };
      expect(paid).toContainEqual({ providerId: receipt.provider, accepted: Number(accepted) });
    }
    await eventually(() => (yagna.books().problems.length === 0 ? true : undefined));
  });

  it('that is cancelled ends its provider within five seconds', async () => {
    const job = await core.start({ image: IMAGE, command: ['sleep', '120'] }, plan);
    await working();
    const asked = performance.now();
    await requestCancel(core.db.pool, { jobId: job, actor: 'test' });
    await relayOnce(core.relay);
    await eventually(() => (open() === 0 ? true : undefined));
    expect(performance.now() - asked).toBeLessThan(5_000);
    expect(await core.ended(job)).toBe('cancelled');
    await expectWhole(core, job);
  });

  it('whose daemon is away waits without an attempt, and runs when it is back', async () => {
    await yagna.down();
    const job = await core.start({ image: IMAGE, command: ['echo', 'answered'] }, plan);
    await eventually(async () => {
      const { raw } = await core.client.workflow.getHandle(`job-${job}`).describe();
      const looks = raw.pendingActivities?.find(({ activityType }) => activityType?.name === 'negotiate');
      return (looks?.attempt ?? 0) >= 3 ? true : undefined;
    }, 20_000);
    const attempts = await core.db.pool.query(
      'select from attempts a join executions e on e.id = a.execution_id where e.job_id = $1',
      [job],
    );
    expect(attempts.rowCount).toBe(0);
    await yagna.up();
    expect(await core.ended(job)).toBe('completed');
  });
});
