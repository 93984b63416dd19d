/**
 * Debit notes and invoices of the agreements under way: what is within the attempt's cap is accepted at once, what is
 * above never. Documents are fetched and answered again while yagna fails; what does not come at all is the sweeper's.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { isMore } from '../../domain/money/decimal.ts';
import type { GolemLog } from './log.ts';
import type { Yagna } from './hardened-yagna.ts';
import { answered, type Rest } from './rest.ts';
import { deferred } from './waiting.ts';

export interface Bill {
  agreement: string;
  allocation: string;
  /** Decimal string: the most that may be accepted. */
  cap: string;
}

export type Paid =
  | { state: 'accepted'; amount: string; invoice: string }
  | { state: 'rejected'; asked: string; invoice: string };

export interface Watched {
  /** Resolves when the agreement's invoice is answered. */
  invoice: Promise<Paid>;
  /** What debit notes were accepted so far, as a decimal. */
  accepted(): string | null;
  /** Resolves when a debit note asks for more than the cap; its agreement must end. */
  overpriced: Promise<string>;
  stop(): void;
}

export interface Payments {
  watch(bill: Bill): Watched;
  stop(): void;
}

const TRIES = 5;
const AGAIN_MS = 1_000;

export function createPayments(yagna: Yagna, rest: Rest, log: GolemLog): Payments {
  const bills = new Map<string, (document: Document) => Promise<void>>();
  const take = async (document: Promise<Document>): Promise<void> => {
    try {
      const found = await document;
      await bills.get(found.agreement)?.(found);
    } catch (error) {
      log.warn({ err: error }, 'a document of a provider could not be answered');
    }
  };
  const invoices = yagna.invoiceEvents$.subscribe(({ invoiceId }) => {
    if (typeof invoiceId !== 'string') return;
    void take(
      again(async () => {
        const { agreementId, amount } = await rest.invoice(invoiceId);
        return { kind: 'invoice', id: invoiceId, agreement: agreementId, amount };
      }),
    );
  });
  const notes = yagna.debitNoteEvents$.subscribe(({ debitNoteId }) => {
    if (typeof debitNoteId !== 'string') return;
    void take(
      again(async () => {
        const { agreementId, totalAmountDue } = await rest.debitNote(debitNoteId);
        return { kind: 'note', id: debitNoteId, agreement: agreementId ?? '', amount: totalAmountDue };
      }),
    );
  });
  return {
    watch(bill) {
      const watched = watch(bill, rest);
      bills.set(bill.agreement, watched.take);
      return { ...watched, stop: () => void bills.delete(bill.agreement) };
    },
    stop() {
      invoices.unsubscribe();
      notes.unsubscribe();
    },
  };
}

interface Document {
  kind: 'invoice' | 'note';
  id: string;
  agreement: string;
  amount: string;
}

function watch({ allocation, cap }: Bill, rest: Rest) {
  let accepted: string | null = null;
  let settled = false;
  const invoice = deferred<Paid>();
  const overpriced = deferred<string>();
  invoice.promise.catch(() => undefined);
  const answer = async ({ kind, id, amount }: Document): Promise<void> => {
    if (settled) return;
    if (kind === 'note') {
      if (isMore(amount, cap)) {
        overpriced.resolve(amount);
        return;
      }
      await again(() => rest.acceptDebitNote(id, amount, allocation));
      accepted = amount;
      return;
    }
    settled = true;
    if (isMore(amount, cap)) {
      await again(() => rest.rejectInvoice(id, `more than the ${cap} that was agreed`));
      invoice.resolve({ state: 'rejected', asked: amount, invoice: id });
      return;
    }
    try {
      await again(() => rest.acceptInvoice(id, amount, allocation));
      invoice.resolve({ state: 'accepted', amount, invoice: id });
    } catch (error) {
      settled = false;
      throw error;
    }
  };
  // One document at a time: a debit note that comes with the invoice must not be accepted beside it.
  let turn = Promise.resolve();
  const take = (document: Document): Promise<void> => {
    const mine = turn.then(() => answer(document));
    turn = mine.catch(() => undefined);
    return mine;
  };
  return { take, invoice: invoice.promise, overpriced: overpriced.promise, accepted: () => accepted };
}

/** While yagna does not answer or fails; what it refuses stays refused. */
async function again<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries === TRIES || answered(error, 400, 401, 404, 409, 410)) throw error;
      await delay(AGAIN_MS * tries);
    }
  }
}
