import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Step, Work } from '../../backends/backend.ts';
import { add, decimalOf } from '../../domain/money/decimal.ts';
import type { ExecutionReceipt } from '../../domain/receipt/execution-receipt.ts';
import { acceptCost, readJobCost } from '../../store/payments.ts';
import { startCore, type Core } from '../support/core.ts';
import { scriptedBackend, type Act } from '../support/scripted-backend.ts';
import { expectWhole } from '../support/whole-job.ts';

const PLATFORM = 'erc20-hoodi-tglm';
const plan = { backends: { '*': ['golem'] } };

let core: Core;
/** What happens with money in an attempt, before it goes on; by image. */
const spending = new Map<string, (step: Step, work: Work) => Promise<Act>>();

beforeAll(async () => {
  const acts = new Map<string, Act>();
  const scripted = scriptedBackend((work) => acts.get(work.name)!);
  core = await startCore(
    scriptedBackend(() => ({ kind: 'answer', text: 'local' })),
    {
      golem: {
        ...scripted,
        kind: 'golem',
        async execute(work, step) {
          acts.set(work.name, await spending.get(work.image)!(step, work));
          return scripted.execute(work, step);
        },
      },
    },
  );
});
afterAll(() => core[Symbol.asyncDispose]());

async function receiptsOf(job: string): Promise<ExecutionReceipt[]> {
  const { rows } = await core.db.pool.query<{ text: string }>(
    `select convert_from(b.bytes, 'utf8') as text from receipts r join blocks b on b.digest = r.digest where r.job_id = $1`,
    [job],
  );
  return rows.map(({ text }) => JSON.parse(text) as ExecutionReceipt);
}

const laterAccepted = async (job: string): Promise<string[]> => {
  const { rows } = await core.db.pool.query<{ amount: string }>(
    `select payload->>'amount' as amount from events where job_id = $1 and type = 'payment.accepted'`,
    [job],
  );
  return rows.map(({ amount }) => amount);
};

describe('money', () => {
  it('of all attempts stands in the receipt, and what becomes known later in an event', async () => {
    const image = 'builtin:spends';
    spending.set(image, async (step, work) => {
      expect(await step.reserve({ platform: PLATFORM, cap: '0.5' })).toEqual({ ok: true });
      if (work.attempt === 1) {
        await step.settle('0.1');
        return { kind: 'fail', code: 'provider_lost' };
      }
      if (work.attempt === 2) {
        await step.settle(null);
        return { kind: 'fail', code: 'provider_lost' };
      }
      await step.settle('0.25');
      return { kind: 'answer', text: 'hello' };
    });
    const job = await core.start({ image, constraints: { max_cost: 2 } }, plan);
    expect(await core.ended(job)).toBe('completed');
    await expectWhole(core, job);
    const [receipt] = await receiptsOf(job);
    expect(receipt?.attempts.map(({ cost }) => cost)).toEqual([
      { platform: PLATFORM, cap: decimalOf('0.5'), accepted: decimalOf('0.1'), state: 'accepted' },
      { platform: PLATFORM, cap: decimalOf('0.5'), state: 'unknown' },
      { platform: PLATFORM, cap: decimalOf('0.5'), accepted: decimalOf('0.25'), state: 'accepted' },
    ]);
    expect(receipt?.cost).toEqual({
      platform: PLATFORM,
      cap: decimalOf('1.5'),
      accepted: decimalOf('0.35'),
      state: 'unknown',
    });
    expect(await laterAccepted(job)).toEqual([]);

    // What a sweeper finds out later.
    const late = { executionId: receipt!.execution_id, attempt: 2 };
    await acceptCost(core.db.pool, late, decimalOf('0.2'));
    expect(await laterAccepted(job)).toEqual([decimalOf('0.2')]);
    const [cost] = await readJobCost(core.db.pool, job);
    expect(cost?.accepted).toBe(add(receipt!.cost!.accepted!, decimalOf('0.2')));
  });

  it('that a job does not want to spend is not spent, and its execution says why', async () => {
    const image = 'builtin:dear';
    spending.set(image, async (step) => {
      const reserved = await step.reserve({ platform: PLATFORM, cap: '0.6' });
      if (reserved.ok) {
        await step.settle('0.6');
        return { kind: 'fail', code: 'provider_lost' };
      }
      expect(reserved.left).toBe(decimalOf('0.4'));
      return { kind: 'fail', code: 'max_cost_exceeded' };
    });
    const job = await core.start({ image, constraints: { max_cost: 1 } }, plan);
    expect(await core.ended(job)).toBe('failed');
    const [receipt] = await receiptsOf(job);
    expect(receipt).toMatchObject({
      failure: { code: 'max_cost_exceeded' },
      cost: { accepted: decimalOf('0.6'), state: 'accepted' },
    });
    expect(receipt?.attempts).toHaveLength(2);
  });

  it('that a place without a price does not know is in no receipt', async () => {
    spending.set('builtin:free', () => Promise.resolve({ kind: 'answer', text: 'hello' }));
    const job = await core.start({ image: 'builtin:free' }, plan);
    expect(await core.ended(job)).toBe('completed');
    const [receipt] = await receiptsOf(job);
    expect(receipt).not.toHaveProperty('cost');
  });
});
