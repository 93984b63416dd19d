/**
 * Yagna's own interface, as far as an attempt must be ended and paid without the SDK, which knows nothing of what an
 * earlier process did. Every call is bounded; "already gone" is an answer like any other.
 */
import { z } from 'zod';
import type { GolemSettings } from './settings.ts';

export class YagnaError extends Error {
  override name = 'YagnaError';
  /** Undefined: yagna did not answer. */
  readonly status: number | undefined;

  constructor(message: string, status?: number, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

const INVOICE_PAGE = 100;
/** Of one sweep; more are for the next. */
const MOST_INVOICES = 5_000;
const ANSWER_BYTES = 16 * 1024 * 1024;

const agreement = z.object({
  agreementId: z.string(),
  state: z.string(),
  demand: z.object({ properties: z.record(z.string(), z.unknown()) }),
  offer: z.object({ providerId: z.string() }),
});
export type AgreementRow = z.infer<typeof agreement>;
const allocation = z.object({
  allocationId: z.string(),
  timeout: z.string().nullish(),
  totalAmount: z.string(),
  spentAmount: z.string(),
});
export type AllocationRow = z.infer<typeof allocation>;
const invoice = z.object({
  invoiceId: z.string(),
  agreementId: z.string(),
  amount: z.string(),
  status: z.string(),
  timestamp: z.string(),
});
export type InvoiceRow = z.infer<typeof invoice>;
const debitNote = z.object({
  debitNoteId: z.string(),
  activityId: z.string(),
  agreementId: z.string().nullish(),
  totalAmountDue: z.string(),
  status: z.string(),
});
export type DebitNoteRow = z.infer<typeof debitNote>;
const demand = z.object({ demandId: z.string(), properties: z.record(z.string(), z.unknown()) });

export type Rest = ReturnType<typeof createRest>;

export function createRest(
  { yagnaUrl, apiKey }: Pick<GolemSettings, 'yagnaUrl' | 'apiKey'>,
  boundMs: number,
) {
  const base = yagnaUrl.replace(/\/+$/, '');

  async function call(method: string, path: string, body?: unknown, withinMs = boundMs): Promise<unknown> {
    let status: number;
    let text: string;
    try {
      const response = await fetch(base + path, {
        method,
        headers: {
          authorization: `Bearer ${apiKey}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        signal: AbortSignal.timeout(withinMs),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      status = response.status;
      text = await response.text();
    } catch (cause) {
      throw new YagnaError(`yagna does not answer ${method} ${path}`, undefined, { cause });
    }
    if (text.length > ANSWER_BYTES) throw new YagnaError(`yagna's answer to ${method} ${path} is too large`);
    if (status >= 300)
      throw new YagnaError(`yagna answers ${status} to ${method} ${path}: ${text.slice(0, 300)}`, status);
    if (text === '') return null;
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new YagnaError(`yagna's answer to ${method} ${path} is not JSON`, status, { cause });
    }
  }
  const read = async <T>(shape: z.ZodType<T>, path: string): Promise<T> => {
    const parsed = shape.safeParse(await call('GET', path));
    if (!parsed.success) throw new YagnaError(`yagna's answer to GET ${path} is not understood`);
    return parsed.data;
  };
  /** Done, or done already; anything else rejects. */
  const end = async (
    method: string,
    path: string,
    body?: unknown,
    done: number[] = [404, 410],
  ): Promise<void> => {
    await call(method, path, body).catch((error: unknown) => {
      if (!(error instanceof YagnaError && error.status !== undefined && done.includes(error.status)))
        throw error;
    });
  };
  const id = encodeURIComponent;

  return {
    version: async (): Promise<string> => {
      const shape = z.object({ current: z.object({ version: z.string() }) });
      return (await read(shape, '/version/get')).current.version;
    },
    identity: async (): Promise<string> => (await read(z.object({ identity: z.string() }), '/me')).identity,
    /** The id of a new allocation; `timeout` is how it is found again. */
    allocate: async (asked: {
      amount: string;
      platform: string;
      address: string;
      timeout: string;
    }): Promise<string> => {
      const made = allocation.safeParse(
        await call('POST', '/payment-api/v1/allocations', {
          totalAmount: asked.amount,
          paymentPlatform: asked.platform,
          address: asked.address,
          timestamp: new Date().toISOString(),
          timeout: asked.timeout,
          makeDeposit: false,
          allocationId: '',
          spentAmount: '',
          remainingAmount: '',
        }),
      );
      if (!made.success) throw new YagnaError('yagna made an allocation without an id');
      return made.data.allocationId;
    },
    allocations: () => read(z.array(allocation), '/payment-api/v1/allocations?maxItems=100'),
    allocation: (one: string) => read(allocation, `/payment-api/v1/allocations/${id(one)}`),
    releaseAllocation: (one: string) => end('DELETE', `/payment-api/v1/allocations/${id(one)}`),
    agreement: (one: string) => read(agreement, `/market-api/v1/agreements/${id(one)}`),
    agreementsSince: (time: string) =>
      read(z.array(z.object({ id: z.string() })), `/market-api/v1/agreements?afterDate=${id(time)}`),
    cancelAgreement: (one: string) =>
      end('POST', `/market-api/v1/agreements/${id(one)}/cancel`, { message: 'Beacon takes another' }, [404]),
    terminateAgreement: (one: string) =>
      end('POST', `/market-api/v1/agreements/${id(one)}/terminate`, { message: 'Finished' }),
    demands: () => read(z.array(demand), '/market-api/v1/demands'),
    unsubscribeDemand: (one: string) => end('DELETE', `/market-api/v1/demands/${id(one)}`),
    /** A provider that is gone cannot be told, which its agreement's end covers: 500 is an answer here. */
    destroyActivity: (one: string, withinMs = boundMs) =>
      end(
        'DELETE',
        `/activity-api/v1/activity/${id(one)}?timeout=${Math.max(1, Math.floor(withinMs / 1_000) - 1)}`,
        undefined,
        [404, 408, 410, 500],
      ),
    invoice: (one: string) => read(invoice, `/payment-api/v1/invoices/${id(one)}`),
    /** All of them, oldest first; yagna hands out a page at a time. */
    invoicesSince: async (time: string): Promise<InvoiceRow[]> => {
      const all: InvoiceRow[] = [];
      for (let after = time; all.length < MOST_INVOICES;) {
        const path = `/payment-api/v1/invoices?afterTimestamp=${id(after)}&maxItems=${INVOICE_PAGE}`;
        const page = await read(z.array(invoice), path);
        all.push(...page);
        const last = page.at(-1)?.timestamp ?? after;
        if (page.length < INVOICE_PAGE || last === after) break;
        after = last;
      }
      return all;
    },
    acceptInvoice: async (one: string, amount: string, from: string): Promise<void> => {
      await call(
        'POST',
        `/payment-api/v1/invoices/${id(one)}/accept?timeout=5`,
        {
          totalAmountAccepted: amount,
          allocationId: from,
        },
        boundMs + 5_000,
      );
    },
    rejectInvoice: async (one: string, message: string): Promise<void> => {
      await call(
        'POST',
        `/payment-api/v1/invoices/${id(one)}/reject?timeout=5`,
        {
          rejectionReason: 'BAD_SERVICE',
          totalAmountAccepted: '0',
          message,
        },
        boundMs + 5_000,
      );
    },
    debitNote: (one: string) => read(debitNote, `/payment-api/v1/debitNotes/${id(one)}`),
    acceptDebitNote: async (one: string, amount: string, from: string): Promise<void> => {
      await call(
        'POST',
        `/payment-api/v1/debitNotes/${id(one)}/accept?timeout=5`,
        {
          totalAmountAccepted: amount,
          allocationId: from,
        },
        boundMs + 5_000,
      );
    },
  };
}

/** Yagna answered, and with this status. */
export function answered(error: unknown, ...statuses: number[]): boolean {
  return error instanceof YagnaError && error.status !== undefined && statuses.includes(error.status);
}
