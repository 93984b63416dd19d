import { Context } from '@temporalio/activity';
import type { InvoiceFact, Left, Owed, Swept } from '../backends/golem/sweep.ts';
import { pause } from '../domain/pause.ts';
import type { BusinessEvents } from '../observability/events.ts';
import { writeWallet } from '../store/golem-reads.ts';
import {
  acceptCost,
  listKnownCosts,
  listUnknownCosts,
  listUnpaidCosts,
  noteCost,
  settleCost,
  type OpenPayment,
} from '../store/payments.ts';
import type { Pool } from '../store/pool.ts';

/** What a backend with money offers its sweeper. */
export interface Books {
  platform: string;
  /** Of agreements since then, in any state. */
  invoicesSince(time: string): Promise<InvoiceFact[]>;
  /** Ends whatever of an attempt still costs. */
  release(ids: Record<string, string>): Promise<Left>;
  settle(owed: Owed, left: Left, invoices: readonly InvoiceFact[]): Promise<Swept>;
  /** Whether there is an invoice for what is left. */
  isBilled(owed: Owed, left: Left, invoices: readonly InvoiceFact[]): boolean;
  /** An invoice of an attempt whose cost is known without it. */
  refuse(invoice: InvoiceFact, why: string): Promise<void>;
  isSettled(ids: Record<string, string>, invoices: readonly InvoiceFact[]): boolean;
  /** GLM; null: cannot be known. */
  balance(): Promise<string | null>;
}

export interface SweepDeps {
  pool: Pool;
  backend: string;
  books: Books;
  events: Pick<BusinessEvents, 'swept' | 'walletRead'>;
  /** Called after each commit that wrote events. */
  committed(): void;
}

export interface SweepResult {
  looked: number;
  /** There may be more that can be settled at once. */
  more: boolean;
}

/** Attempts that one call looks at. */
const LOT = 50;
const HEARTBEAT_EVERY_MS = 2_000;
/** Invoices that came while no sweeper ran, by the first sweep of a worker; later sweeps go on from there. */
const FIRST_LOOK_MS = 24 * 3_600_000;
/** Yagna may stamp an invoice earlier than it shows it. */
const OVERLAP_MS = 5 * 60_000;
const LOOKS = 3;
const BETWEEN_LOOKS_MS = 1_000;

export type SweepActivities = ReturnType<typeof createSweepActivities>;

export function createSweepActivities(deps: SweepDeps) {
  const lookedUntil = { time: new Date(Date.now() - FIRST_LOOK_MS) };
  return {
    /** Looks at ended attempts whose cost is not known and at costs that are not known to be paid. Repeating it changes nothing. */
    async sweep(): Promise<SweepResult> {
      const context = Context.current();
      const timer = setInterval(() => context.heartbeat(), HEARTBEAT_EVERY_MS);
      try {
        return await sweepOnce(deps, context.cancellationSignal, lookedUntil);
      } finally {
        clearInterval(timer);
      }
    },
  };
}

export async function sweepOnce(
  { pool, backend, books, events, committed }: SweepDeps,
  signal: AbortSignal,
  lookedUntil = { time: new Date(Date.now() - FIRST_LOOK_MS) },
): Promise<SweepResult> {
  const began = Date.now();
  const balance = await books.balance();
  if (balance !== null) {
    await writeWallet(pool, { platform: books.platform, balance, readAt: new Date().toISOString() });
    events.walletRead({ balance: Number(balance) });
  }
  const [unknown, unpaid] = [
    await listUnknownCosts(pool, backend, LOT),
    await listUnpaidCosts(pool, backend, LOT),
  ];
  const failed = async (payment: OpenPayment, error: unknown): Promise<void> => {
    const note = error instanceof Error ? error.message : String(error);
    await noteCost(pool, payment, note);
    const { executionId, attempt } = payment;
    events.swept({ executionId, attempt, result: 'failed', note });
  };
  const released: { payment: OpenPayment; left: Left }[] = [];
  for (const payment of unknown)
    await books.release(payment.ids).then(
      (left) => released.push({ payment, left }),
      (error: unknown) => failed(payment, error),
    );
  const since = earliest([...unknown, ...unpaid], lookedUntil.time);
  const invoices = await billed(books, released, since, signal);
  let settled = 0;
  for (const { payment, left } of released) {
    const { executionId, attempt } = payment;
    try {
      const swept = await books.settle(payment, left, invoices);
      if (swept.result === 'waiting') await noteCost(pool, payment, swept.note);
      else if (await acceptCost(pool, payment, swept.amount)) settled++;
      events.swept({ executionId, attempt, result: swept.result, note: swept.note });
    } catch (error) {
      await failed(payment, error);
    }
  }
  for (const payment of unpaid) {
    if (books.isSettled(payment.ids, invoices) && (await settleCost(pool, payment))) {
      settled++;
      events.swept({ executionId: payment.executionId, attempt: payment.attempt, result: 'settled' });
    } else await noteCost(pool, payment, null);
  }
  await refuseLate({ pool, backend, books, events }, invoices);
  lookedUntil.time = new Date(began - OVERLAP_MS);
  if (settled > 0) committed();
  const looked = unknown.length + unpaid.length;
  return { looked, more: settled > 0 && (unknown.length === LOT || unpaid.length === LOT) };
}

/** What comes after a cost was written down is refused: it is not changed any more, and nothing may stay open at yagna. */
async function refuseLate(
  { pool, backend, books, events }: Omit<SweepDeps, 'committed'>,
  invoices: readonly InvoiceFact[],
): Promise<void> {
  const received = new Map(
    invoices.filter(({ status }) => status === 'RECEIVED').map((one) => [one.agreementId, one]),
  );
  for (const known of await listKnownCosts(pool, backend, [...received.keys()])) {
    const { executionId, attempt, agreement, accepted } = known;
    const invoice = received.get(agreement);
    if (invoice === undefined) continue;
    const note = `the invoice ${invoice.invoiceId} came after the attempt was settled at ${accepted}`;
    await books.refuse(invoice, note).then(
      () => events.swept({ executionId, attempt, result: 'refused', note }),
      (error: unknown) =>
        events.swept({ executionId, attempt, result: 'failed', note: `${note}: ${String(error)}` }),
    );
  }
}

/** An agreement that ended a moment ago is billed in the next; what takes longer is for the next sweep. */
async function billed(
  books: Books,
  released: readonly { payment: OpenPayment; left: Left }[],
  since: string,
  signal: AbortSignal,
): Promise<InvoiceFact[]> {
  for (let look = 1; ; look++) {
    const invoices = await books.invoicesSince(since);
    const open = released.some(
      ({ payment, left }) => left.agreement !== null && !books.isBilled(payment, left, invoices),
    );
    if (!open || look === LOOKS) return invoices;
    await pause(BETWEEN_LOOKS_MS, signal);
  }
}

/** From when on invoices can be of these, or are not looked at yet; an attempt says when it began. */
function earliest(payments: readonly OpenPayment[], lookedUntil: Date): string {
  const times = payments.map(({ ids, createdAt }) => ids.since ?? createdAt.toISOString());
  return times.reduce((a, b) => (a < b ? a : b), lookedUntil.toISOString());
}
