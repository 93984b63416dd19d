import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectSdk, orderFrom } from '../../test/yagna/requestor.ts';
import { startYagna, type Yagna } from '../../test/yagna/yagna.ts';
import { decimalOf } from '../../domain/money/decimal.ts';
import { eventually } from '../../test/support/eventually.ts';
import { releaseAttempt } from './release.ts';
import { answered, createRest, type Rest } from './rest.ts';
import type { Golem } from './sdk.ts';
import { billsOf, isSettled, sweepAttempt, type Swept } from './sweep.ts';

const PLATFORM = 'erc20-hoodi-tglm';
const START = '0.1';

let yagna: Yagna;
let rest: Rest;
let golem: Golem.GolemNetwork;
const provider = (name: string) => ({
  name,
  prices: { start: START, cpuSec: '0', envSec: '0' },
  subnet: name,
});

beforeAll(async () => {
  yagna = await startYagna({ providers: ['well', 'late', 'dear'].map(provider), settleMs: 0 });
  yagna.fault('late', { at: 'invoice', do: 'none' });
  yagna.fault('dear', { at: 'invoice', do: 'overprice', factor: '100' });
  rest = createRest({ yagnaUrl: yagna.url, apiKey: yagna.key }, 4_000);
  golem = await connectSdk(yagna);
});
afterAll(async () => {
  await golem.disconnect();
  await yagna[Symbol.asyncDispose]();
});

/** An attempt that has its allocation and nothing else. */
async function allocated(): Promise<Record<string, string> & { allocation: string }> {
  const since = new Date(Date.now() - 60_000).toISOString();
  const micros = String(randomBytes(2).readUInt16BE() % 1_000).padStart(3, '0');
  const timeout = new Date(Date.now() + 1_800_000).toISOString().replace('Z', `${micros}Z`);
  const address = await rest.identity();
  const allocation = await rest.allocate({ amount: '1', platform: PLATFORM, address, timeout });
  return { token: 'attempt', since, allocation_timeout: timeout, allocation };
}

/** An attempt whose worker died with its activity running: what it had recorded until then. */
async function crashed(subnet: string): Promise<Record<string, string>> {
  const ids = await allocated();
  const order = orderFrom(yagna);
  const spec = await golem.market.buildDemandDetails(
    { ...order.demand, subnetTag: subnet },
    order.market,
    await golem.payment.getAllocation(ids.allocation),
  );
  const found: { subscription?: { unsubscribe(): void } } = {};
  const draft = await new Promise<Golem.OfferProposal>((resolve, reject) => {
    found.subscription = golem.market
      .collectDraftOfferProposals({ demandSpecification: spec, pricing: order.market.pricing })
      .subscribe({ next: resolve, error: reject });
  });
  const agreement = await golem.market.proposeAgreement(draft, { expirationSec: 1_800 });
  found.subscription?.unsubscribe();
  const activity = await golem.activity.createActivity(agreement);
  const unit = await golem.activity.createExeUnit(activity);
  await unit.run('true');
  return { ...ids, agreement: agreement.id, activity: activity.id };
}

const deps = () => ({ rest, refused: (error: unknown) => answered(error, 400, 404, 410) });

async function sweep(ids: Record<string, string>, { cap = '1', endedMs = 0 } = {}): Promise<Swept> {
  const owed = { platform: PLATFORM, cap: decimalOf(cap), ids, endedMs };
  const left = await releaseAttempt(rest, ids);
  const invoices = await rest.invoicesSince(ids.since!);
  return sweepAttempt(deps(), owed, left, invoices);
}

const swept = (ids: Record<string, string>, more = {}): Promise<Swept> =>
  eventually(async () => {
    const found = await sweep(ids, more);
    return found.result === 'waiting' ? undefined : found;
  });

describe('what a dead attempt owes', () => {
  it('is paid from its allocation when its invoice comes, once, and seen to be settled', async () => {
    const ids = await crashed('well');
    expect(await swept(ids)).toEqual({ result: 'accepted', amount: decimalOf(START) });
    expect(await swept(ids)).toEqual({ result: 'accepted', amount: decimalOf(START) });
    await eventually(async () => (isSettled(ids, await rest.invoicesSince(ids.since!)) ? true : undefined));
  });

  it('is paid from another allocation when its own is gone', async () => {
    const ids = await crashed('well');
    await rest.releaseAllocation(ids.allocation!);
    expect(await swept(ids)).toEqual({ result: 'accepted', amount: decimalOf(START) });
  });

  it('is nothing when nobody approved', async () => {
    expect(await sweep(await allocated())).toEqual({ result: 'nothing', amount: decimalOf(0) });
  });

  it('waits for an invoice and is given up when none comes in time', async () => {
    const ids = await crashed('late');
    expect(await sweep(ids)).toMatchObject({ result: 'waiting' });
    expect(await sweep(ids, { endedMs: 7_200_000 })).toMatchObject({
      result: 'given_up',
      amount: decimalOf(0),
      note: 'no invoice came',
    });
  });

  it('is refused when it is more than the attempt may cost', async () => {
    const ids = await crashed('dear');
    const found = await swept(ids);
    expect(found).toMatchObject({ result: 'given_up', amount: decimalOf(0) });
    const [bill] = billsOf(
      { ids },
      { agreement: null, allocation: null },
      await rest.invoicesSince(ids.since!),
    );
    expect(bill?.status).toBe('REJECTED');
  });

  it('leaves nothing open in the books', async () => {
    expect(yagna.books().openAgreements).toEqual([]);
    expect(yagna.books().openActivities).toEqual([]);
    expect(yagna.books().openAllocations).toEqual([]);
    expect(yagna.books().accepted).toBe(yagna.books().spent);
  });
});
