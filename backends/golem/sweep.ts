/**
 * What ended attempts still owe (docs/golem.md). One attempt after the other:
 *   ended     -> whatever costs was ended, as `release` does
 *   accepted  -> its invoice was accepted, now or earlier: that is what it cost
 *   nothing   -> no agreement was approved: it cost nothing
 *   waiting   -> its invoice has not come and may still come
 *   given up  -> it did not come in time, or asked for more than the cap: what debit notes took is what it cost
 * The allocation is given back with each end but `waiting`. Repeating it changes nothing.
 */
import { isMore, decimalOf, ZERO } from '../../domain/money/decimal.ts';

export interface InvoiceFact {
  invoiceId: string;
  agreementId: string;
  amount: string;
  status: string;
}

/** What of yagna a sweep needs (rest.ts). */
export interface SweepRest {
  allocation(id: string): Promise<{ spentAmount: string }>;
  releaseAllocation(id: string): Promise<void>;
  identity(): Promise<string>;
  allocate(asked: { amount: string; platform: string; address: string; timeout: string }): Promise<string>;
  acceptInvoice(id: string, amount: string, allocation: string): Promise<void>;
  rejectInvoice(id: string, why: string): Promise<void>;
}

/** What is still to be paid after everything that costs was ended (release.ts). */
export interface Left {
  agreement: string | null;
  allocation: string | null;
}

export interface SweepDeps {
  rest: SweepRest;
  /** Whether yagna refused for good, such as an allocation that is gone or too small. */
  refused(error: unknown): boolean;
}

export interface Owed {
  platform: string;
  /** GLM, as a decimal. */
  cap: string;
  /** Recorded by the attempt. */
  ids: Record<string, string>;
  /** Since the attempt's end. */
  endedMs: number;
}

export type Swept =
  | { result: 'accepted' | 'nothing' | 'given_up'; amount: string; note?: string }
  | { result: 'waiting'; note: string };

/** An invoice may come this long after the end. Its provider had a minute, and yagna's network is slow at times. */
export const INVOICE_GRACE_MS = 60 * 60_000;
/** Lifetime of an allocation that is made only to accept one invoice. */
const LATE_ALLOCATION_MS = 10 * 60_000;
const PAID = ['ACCEPTED', 'SETTLED'];

export async function sweepAttempt(
  deps: SweepDeps,
  owed: Owed,
  left: Left,
  invoices: readonly InvoiceFact[],
  graceMs = INVOICE_GRACE_MS,
): Promise<Swept> {
  const { rest } = deps;
  const own = billsOf(owed, left, invoices);
  const allocation = left.allocation ?? owed.ids.allocation ?? null;
  const giveBack = async (): Promise<void> => {
    if (left.allocation !== null) await rest.releaseAllocation(left.allocation);
  };

  const paid = own.find(({ status }) => PAID.includes(status));
  if (paid !== undefined) {
    await giveBack();
    return { result: 'accepted', amount: decimalOf(paid.amount) };
  }
  const received = own.find(({ status }) => status === 'RECEIVED');
  if (received !== undefined && !isMore(decimalOf(received.amount), owed.cap)) {
    await accept(deps, owed, received, allocation);
    await giveBack();
    return { result: 'accepted', amount: decimalOf(received.amount) };
  }
  // Before anything is given back: it is read of the allocation.
  const spent = allocation === null ? ZERO : await spentOf(rest, allocation, deps.refused);
  if (received !== undefined) {
    const note = `the invoice asks for ${received.amount}, which is more than ${owed.cap}`;
    await rest.rejectInvoice(received.invoiceId, note);
    await giveBack();
    return { result: 'given_up', amount: spent, note };
  }
  if (left.agreement === null) {
    await giveBack();
    return { result: 'nothing', amount: spent };
  }
  if (owed.endedMs < graceMs) return { result: 'waiting', note: 'no invoice has come yet' };
  await giveBack();
  return { result: 'given_up', amount: spent, note: 'no invoice came' };
}

/** Invoices of an attempt's agreements. */
export function billsOf(
  { ids }: Pick<Owed, 'ids'>,
  left: Left,
  invoices: readonly InvoiceFact[],
): InvoiceFact[] {
  const agreements = [...(ids.agreement ?? '').split(' '), left.agreement];
  return invoices.filter(({ agreementId }) => agreements.includes(agreementId));
}

/** From the attempt's own allocation, else from one that is made for it. */
async function accept(
  { rest, refused }: SweepDeps,
  { platform }: Owed,
  { invoiceId, amount }: InvoiceFact,
  allocation: string | null,
): Promise<void> {
  if (allocation !== null) {
    try {
      await rest.acceptInvoice(invoiceId, amount, allocation);
      return;
    } catch (error) {
      if (!refused(error)) throw error;
    }
  }
  const address = await rest.identity();
  const timeout = new Date(Date.now() + LATE_ALLOCATION_MS).toISOString();
  const made = await rest.allocate({ amount, platform, address, timeout });
  try {
    await rest.acceptInvoice(invoiceId, amount, made);
  } finally {
    await rest.releaseAllocation(made);
  }
}

async function spentOf(rest: SweepRest, allocation: string, refused: SweepDeps['refused']): Promise<string> {
  try {
    return decimalOf((await rest.allocation(allocation)).spentAmount);
  } catch (error) {
    if (refused(error)) return ZERO;
    throw error;
  }
}

/** Whether an invoice of these agreements was paid on chain. */
export function isSettled(ids: Record<string, string>, invoices: readonly InvoiceFact[]): boolean {
  const agreements = (ids.agreement ?? '').split(' ');
  return invoices.some(({ agreementId, status }) => status === 'SETTLED' && agreements.includes(agreementId));
}
