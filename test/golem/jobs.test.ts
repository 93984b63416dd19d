import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requestCancel } from '../../store/cancel.ts';
import { relayOnce } from '../../worker/relay.ts';
import type { Core } from '../support/core.ts';
import { eventually } from '../support/eventually.ts';
import { IMAGE } from '../support/golem.ts';
import { expectWhole } from '../support/whole-job.ts';
import type { Yagna } from '../yagna/yagna.ts';
import { golemStand, ONLY_GOLEM, type GolemStand } from './stand.ts';

let stand: GolemStand;
let yagna: Yagna;
let core: Core;

beforeAll(async () => {
  stand = await golemStand([{ region: 'US' }, { region: 'EU' }, { region: 'APAC' }]);
  ({ yagna, core } = stand);
});
afterAll(() => stand[Symbol.asyncDispose]());

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
      ONLY_GOLEM,
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
    const job = await core.start({ image: IMAGE, command: ['sleep', '120'] }, ONLY_GOLEM);
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
    const job = await core.start({ image: IMAGE, command: ['echo', 'answered'] }, ONLY_GOLEM);
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
