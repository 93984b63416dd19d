import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { createRequestor, refusal, type Requestor } from './raw-requestor.ts';
import { startYagna, type Yagna } from './yagna.ts';

/** Usage that no float adds up right. */
const USAGE = { cpuSec: '0.1', durationSec: '0.2' };
const PRICES = { start: '0.1', cpuSec: '0.000000000000000001', envSec: '0.7' };
/** 0.1 + 0.7 × 0.2; what is below 10^-18 is not asked for. */
const COST = '0.24';

let yagna: Yagna;
let me: Requestor;
beforeAll(async () => {
  const provider = { prices: PRICES, usage: USAGE };
  yagna = await startYagna({
    funds: '10',
    settleMs: 50,
    providers: [
      { ...provider, name: 'well' },
      { ...provider, name: 'greedy', faults: [{ at: 'invoice', do: 'overprice', factor: '1.5' }] },
      { ...provider, name: 'no-invoice', faults: [{ at: 'invoice', do: 'none' }] },
      { ...provider, name: 'late', faults: [{ at: 'invoice', do: 'late', ms: 100 }] },
      { ...provider, name: 'twice', faults: [{ at: 'invoice', do: 'double' }] },
      { ...provider, name: 'notes', speed: { debitNoteMs: 50 } },
      { ...provider, name: 'impatient', speed: { debitNoteMs: 20, acceptDebitNoteMs: 60 } },
    ],
  });
  me = createRequestor(yagna);
});
afterAll(() => yagna.stop());

async function worked(name: string) {
  const agreement = await me.agree(name);
  await me.activityOf(agreement);
  await me.terminate(agreement);
  return agreement;
}

const sessionEvents = () => me.payment.getInvoiceEvents(0, me.started, 100, me.session);

describe.concurrent('an allocation', () => {
  it('keeps its own time to the microsecond, is listed, and is gone when released', async () => {
    const timeout = '2099-01-02T03:04:05.678901Z';
    const { allocationId } = await me.allocate('0.5', timeout);
    const all = await me.payment.getAllocations();
    expect(all.find((one) => one.timeout === timeout)).toMatchObject({
      allocationId,
      remainingAmount: '0.5',
    });
    await me.payment.releaseAllocation(allocationId);
    expect(await refusal(me.payment.releaseAllocation(allocationId))).toMatchObject({ status: 410 });
    expect(await refusal(me.payment.releaseAllocation('unknown'))).toMatchObject({ status: 404 });
  });

  it('is refused beyond the funds, in the past and for amounts that are none', async () => {
    expect(await refusal(me.allocate('11'))).toMatchObject({
      status: 400,
      message: expect.stringContaining('Insufficient funds') as string,
    });
    expect(await refusal(me.allocate('1', '2020-01-01T00:00:00Z'))).toMatchObject({ status: 400 });
    expect(await refusal(me.allocate('1e3'))).toMatchObject({ status: 400 });
  });

  it('is over when its time is', async () => {
    const { allocationId } = await me.allocate('0.5', new Date(Date.now() + 1_000).toISOString());
    expect(yagna.books().openAllocations).toContain(allocationId);
    await eventually(() => !yagna.books().openAllocations.includes(allocationId) || undefined);
  });
});

describe.concurrent('an invoice', () => {
  it('asks for what was agreed to the last decimal, is paid once, and is settled later', async () => {
    const agreement = await worked('well');
    const { invoiceId, amount } = await me.invoiceOf(agreement);
    expect(amount).toBe(COST);
    const { allocationId } = await me.allocate('0.3');
    const accept = (totalAmountAccepted: string, from = allocationId) =>
      me.payment.acceptInvoice(invoiceId, { totalAmountAccepted, allocationId: from });
    expect(await refusal(accept('0.2'))).toMatchObject({ status: 400 });
    const small = await me.allocate('0.239999999999999999');
    expect(await refusal(accept(COST, small.allocationId))).toMatchObject({
      status: 400,
      message: expect.stringContaining('Not enough funds') as string,
    });
    await me.payment.releaseAllocation(small.allocationId);
    expect(await refusal(accept(COST, small.allocationId))).toMatchObject({ status: 410 });
    await Promise.all([accept(COST), accept(COST)]);
    expect(await me.payment.getAllocation(allocationId)).toMatchObject({
      spentAmount: COST,
      remainingAmount: '0.06',
    });
    await eventually(async () => (await me.payment.getInvoice(invoiceId)).status === 'SETTLED' || undefined);
    await me.payment.releaseAllocation(allocationId);
    expect((await sessionEvents()).filter((event) => event.invoiceId === invoiceId)).toHaveLength(1);
  });

  it('may be too high, late, double, or never come; what was rejected costs nothing', async () => {
    const greedy = await me.invoiceOf(await worked('greedy'));
    expect(greedy.amount).toBe('0.36');
    await me.payment.rejectInvoice(greedy.invoiceId, {
      rejectionReason: 'INCORRECT_AMOUNT',
      totalAmountAccepted: '0',
    });
    const account = (agreement: string) => yagna.books().agreements.find((a) => a.agreementId === agreement);
    expect(account(greedy.agreementId)).toMatchObject({ billed: '0.36', honest: COST, accepted: '0' });

    const began = performance.now();
    await me.invoiceOf(await worked('late'));
    expect(performance.now() - began).toBeGreaterThan(100);

    const silent = await worked('no-invoice');
    const twice = await worked('twice');
    const copies = await eventually(async () => {
      const all = await me.payment.getInvoices(undefined, 100);
      const found = all.filter(({ agreementId }) => agreementId === twice);
      return found.length === 2 ? found : undefined;
    });
    expect((await me.payment.getInvoices(undefined, 100)).map((one) => one.agreementId)).not.toContain(
      silent,
    );
    const { allocationId } = await me.allocate('1');
    for (const { invoiceId } of copies)
      await me.payment.acceptInvoice(invoiceId, { totalAmountAccepted: COST, allocationId });
    await me.payment.releaseAllocation(allocationId);
    expect(yagna.books().problems).toContain(`agreement ${twice} was paid by 2 invoices`);
  });
});

describe.concurrent('debit notes', () => {
  it('come while an activity runs; the invoice takes only what they have not', async () => {
    const agreement = await me.agree('notes');
    await me.activityOf(agreement);
    const note = await eventually(async () => {
      const all = await me.payment.getDebitNotes(undefined, 100);
      return all.find((one) => one.agreementId === agreement);
    });
    expect(note.totalAmountDue).toBe(COST);
    expect(await refusal(me.payment.rejectDebitNote(note.debitNoteId, REJECTED))).toMatchObject({
      status: 501,
    });
    const { allocationId } = await me.allocate('0.3');
    const paid = { totalAmountAccepted: COST, allocationId };
    await me.payment.acceptDebitNote(note.debitNoteId, paid);
    await me.terminate(agreement);
    const { invoiceId } = await me.invoiceOf(agreement);
    await me.payment.acceptInvoice(invoiceId, paid);
    expect(await me.payment.getAllocation(allocationId)).toMatchObject({ spentAmount: COST });
    await me.payment.releaseAllocation(allocationId);
  });

  it('that nobody accepts end the agreement', async () => {
    const agreement = await me.agree('impatient');
    await me.activityOf(agreement);
    await eventually(
      async () => (await me.market.getAgreement(agreement)).state === 'Terminated' || undefined,
    );
    const events = await me.market.collectAgreementEvents(0, me.started, 100, me.session);
    expect(events.filter((event) => event.agreementId === agreement).at(-1)).toMatchObject({
      reason: { 'golem.provider.code': 'DebitNotesDeadline' },
    });
  });
});

const REJECTED = { rejectionReason: 'BAD_SERVICE', totalAmountAccepted: '0' } as const;
