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

const AGAIN_MS = 1_000;
const LONGEST_PAUSE_MS = 5_000;

export interface PaymentsOptions {
  log: GolemLog;
  /** So long a document is fetched and answered again while yagna fails. */
  awayMs: number;
}

export function createPayments(yagna: Yagna, rest: Rest, { log, awayMs }: PaymentsOptions): Payments {
  const stopped = new AbortController();
  const again = createAgain(awayMs, stopped.signal);
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
      const watched = watch(bill, rest, again);
      bills.set(bill.agreement, watched.take);
      return { ...watched, stop: () => void bills.delete(bill.agreement) };
    },
    stop() {
      invoices.unsubscribe();
      notes.unsubscribe();
      stopped.abort();
    },
  };
}

interface Document {
  kind: 'invoice' | 'note';
  id: string;
  agreement: string;
  amount: string;
}

function watch({ allocation, cap }: Bill, rest: Rest, again: Again) {
  let accepted: string | null = null;
  let settled = false;
  const invoice = deferred<Paid>();
  const overpriced = deferred<string>();
  invoice.promise.catch(() => undefined);
  /** The invoice is here: notes before it, which it contains, are not tried again. */
  const billed = new AbortController();
  const answer = async ({ kind, id, amount }: Document): Promise<void> => {
    if (settled) return;
    if (kind === 'note') {
      if (isMore(amount, cap)) {
        overpriced.resolve(amount);
        return;
      }
      await again(() => rest.acceptDebitNote(id, amount, allocation), billed.signal);
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
    if (document.kind === 'invoice') billed.abort();
    const mine = turn.then(() => answer(document));
    turn = mine.catch(() => undefined);
    return mine;
  };
  return { take, invoice: invoice.promise, overpriced: overpriced.promise, accepted: () => accepted };
}

type Again = <T>(work: () => Promise<T>, until?: AbortSignal) => Promise<T>;

/** While yagna does not answer or fails; what it refuses stays refused. `until` ends the tries, not one under way. */
function createAgain(awayMs: number, stopped: AbortSignal): Again {
  return async (work, until) => {
    const signal = until === undefined ? stopped : AbortSignal.any([stopped, until]);
    const began = performance.now();
    for (let tries = 1; ; tries++) {
      try {
        return await work();
      } catch (error) {
        const late = performance.now() - began > awayMs;
        if (late || signal.aborted || answered(error, 400, 401, 404, 409, 410)) throw error;
        await delay(Math.min(AGAIN_MS * tries, LONGEST_PAUSE_MS), undefined, { signal }).catch(() => {
          throw error;
        });
      }
    }
  };
}
