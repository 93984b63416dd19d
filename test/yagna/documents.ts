import type { PaymentApi } from 'ya-ts-client';
import { z } from 'zod';
import type { Activities, Activity } from './activities.ts';
import type { Agreement, Agreements } from './agreements.ts';
import type { Allocations } from './allocations.ts';
import { costOf, costOfAll } from './billing.ts';
import { microseconds, type Clock } from './clock.ts';
import { createEventLog, type EventLog } from './event-log.ts';
import { bodyOf, Failure, maximum, ok, timeoutMs, type Call, type Route } from './http.ts';
import { uuid } from './ids.ts';
import { amount, isAmount, payable, textOf, zero, type Amount } from './money.ts';

type Status = PaymentApi.InvoiceDTO['status'];

/** A debit note or an invoice: what a provider says it is owed for an agreement so far, or in all. */
export interface Document {
  readonly id: string;
  readonly kind: 'debit-note' | 'invoice';
  readonly agreement: Agreement;
  /** Of a debit note. */
  readonly activity: Activity | null;
  readonly activityIds: string[];
  readonly amount: Amount;
  /** What the usage costs by the agreed prices. */
  readonly honest: Amount;
  /** By the provider's clock. */
  readonly timestamp: string;
  readonly receivedAt: string;
  status: Status;
  accepted: Amount;
  allocationId: string | null;
}

/** One acceptance, as the wallet's own journal has it. */
export interface Payment {
  document: string;
  kind: Document['kind'];
  agreement: string;
  allocation: string;
  /** GLM that it took of the allocation: of an invoice what its debit notes had not. */
  amount: string;
}

export interface Documents {
  routes: Route[];
  all(): Document[];
  payments(): Payment[];
  /** A provider's notes while the activity lives, and one at its end. */
  activityStarted(activity: Activity): void;
  activityEnded(activity: Activity): void;
  agreementEnded(agreement: Agreement): void;
  stop(): void;
}

export interface DocumentParts {
  clock: Clock;
  identity: string;
  agreements: Agreements;
  allocations: Allocations;
  activitiesOf: Activities['of'];
  /** From acceptance to settlement on chain. */
  settleMs: number;
}

const BASE = '/payment-api/v1';
const DAY_MS = 86_400_000;
const acceptance = z.object({
  totalAmountAccepted: z.string().refine(isAmount, 'must be a decimal amount'),
  allocationId: z.string(),
});
const rejection = z.object({
  rejectionReason: z.enum(['UNSOLICITED_SERVICE', 'BAD_SERVICE', 'INCORRECT_AMOUNT']),
  totalAmountAccepted: z.string(),
  message: z.string().optional(),
});

export function createDocuments(parts: DocumentParts): Documents {
  const documents = new Map<string, Document>();
  const payments: Payment[] = [];
  const timers = new Map<Activity, NodeJS.Timeout>();
  const later = new Set<NodeJS.Timeout>();
  const logs = {
    'debit-note': createEventLog<PaymentApi.DebitNoteEventDTO>(),
    invoice: createEventLog<PaymentApi.InvoiceEventDTO>(),
  };
  const after = (ms: number, work: () => void) => {
    const timer = setTimeout(() => {
      later.delete(timer);
      work();
    }, ms);
    later.add(timer);
  };

  function issue(
    document: Omit<Document, 'id' | 'timestamp' | 'receivedAt' | 'status' | 'accepted' | 'allocationId'>,
  ): Document {
    const issued: Document = {
      ...document,
      id: uuid(),
      timestamp: parts.clock.stamp(document.agreement.provider.script.clockSkewMs),
      receivedAt: parts.clock.stamp(),
      status: 'RECEIVED',
      accepted: zero(),
      allocationId: null,
    };
    documents.set(issued.id, issued);
    const eventDate = parts.clock.stamp();
    const { session } = issued.agreement;
    if (issued.kind === 'invoice')
      logs.invoice.append(session, { eventType: 'InvoiceReceivedEvent', eventDate, invoiceId: issued.id });
    else
      logs['debit-note'].append(session, {
        eventType: 'DebitNoteReceivedEvent',
        eventDate,
        debitNoteId: issued.id,
      });
    return issued;
  }

  function note(activity: Activity): void {
    const { agreement } = activity;
    const { provider } = agreement;
    if (!provider.alive) return;
    const fault = provider.faults.take('debit-note');
    if (fault?.do === 'none') return;
    const honest = costOf(activity, parts.clock.now());
    const asked = fault?.do === 'overprice' ? payable(honest.times(fault.factor)) : honest;
    const issued = issue({
      kind: 'debit-note',
      agreement,
      activity,
      activityIds: [activity.id],
      amount: asked,
      honest,
    });
    after(acceptMs(agreement), () => {
      if (issued.status === 'RECEIVED') parts.agreements.endByProvider(agreement, 'DebitNotesDeadline');
    });
  }

  function invoice(agreement: Agreement): void {
    const { provider } = agreement;
    const activities = parts.activitiesOf(agreement);
    if (activities.length === 0 || !provider.alive) return;
    const fault = provider.faults.take('invoice');
    if (fault?.do === 'none') return;
    const honest = costOfAll(activities, parts.clock.now());
    const asked = fault?.do === 'overprice' ? payable(honest.times(fault.factor)) : honest;
    const activityIds = activities.map(({ id }) => id);
    const send = () =>
      void issue({ kind: 'invoice', agreement, activity: null, activityIds, amount: asked, honest });
    after(provider.speed.invoiceMs + (fault?.do === 'late' ? fault.ms : 0), () => {
      send();
      if (fault?.do === 'double') send();
    });
  }

  const find = (kind: Document['kind'], call: Call): Document => {
    const found = documents.get(call.params.document ?? '');
    if (found?.kind === kind) return found;
    throw new Failure(404, `${kind} ${call.params.document} not found`);
  };

  /** What is paid already for the same thing: earlier notes of the activity, all of them for an invoice. */
  function paidBefore(document: Document): Amount {
    const notes = [...documents.values()].filter(
      (one) => one.kind === 'debit-note' && one.agreement === document.agreement && one !== document,
    );
    const activities =
      document.activity === null ? parts.activitiesOf(document.agreement) : [document.activity];
    return activities.reduce((total, activity) => {
      const accepted = notes.filter((one) => one.activity === activity).map((one) => one.accepted);
      return total.plus(accepted.reduce((most, one) => (one.gt(most) ? one : most), zero()));
    }, zero());
  }

  function accept(kind: Document['kind'], call: Call) {
    const document = find(kind, call);
    const { totalAmountAccepted, allocationId } = bodyOf(acceptance, call);
    if (['ACCEPTED', 'SETTLED'].includes(document.status)) return ok(null);
    if (document.status !== 'RECEIVED') throw new Failure(400, `${kind} is ${document.status}`);
    if (!amount(totalAmountAccepted).eq(document.amount))
      throw new Failure(
        400,
        `Invalid amount accepted. Expected: ${textOf(document.amount)} Actual: ${totalAmountAccepted}`,
      );
    const more = document.amount.minus(paidBefore(document));
    const taken = more.gt(0) ? more : zero();
    parts.allocations.spend(allocationId, taken);
    payments.push({
      document: document.id,
      kind,
      agreement: document.agreement.id,
      allocation: allocationId,
      amount: textOf(taken),
    });
    Object.assign(document, { status: 'ACCEPTED', accepted: document.amount, allocationId });
    after(parts.settleMs, () => void (document.status = 'SETTLED'));
    return ok(null);
  }

  function reject(call: Call) {
    const document = find('invoice', call);
    bodyOf(rejection, call);
    if (document.status === 'REJECTED') return ok(null);
    if (document.status !== 'RECEIVED') throw new Failure(400, `invoice is ${document.status}`);
    document.status = 'REJECTED';
    return ok(null);
  }

  const listed = (kind: Document['kind'], call: Call) => {
    const from = microseconds(call.query.get('afterTimestamp') ?? '1970-01-01T00:00:00Z');
    return ok(
      [...documents.values()]
        .filter((one) => one.kind === kind && microseconds(one.receivedAt) > from)
        .slice(0, maximum(call, 'maxItems', 100))
        .map((one) => dtoOf(one, parts.identity)),
    );
  };
  const events = (log: EventLog<{ eventType: string; eventDate: string }>) => async (call: Call) =>
    ok(
      await log.read({
        after: call.query.get('afterTimestamp'),
        session: call.query.get('appSessionId'),
        max: maximum(call, 'maxEvents', 20),
        timeoutMs: timeoutMs(call, 5),
        gone: call.gone,
      }),
    );
  const routesOf = (kind: Document['kind'], path: string): Route[] => [
    { method: 'GET', pattern: `${BASE}/${path}`, handler: (call) => listed(kind, call) },
    {
      method: 'GET',
      pattern: `${BASE}/${path}/{document}`,
      handler: (call) => ok(dtoOf(find(kind, call), parts.identity)),
    },
    { method: 'POST', pattern: `${BASE}/${path}/{document}/accept`, handler: (call) => accept(kind, call) },
  ];

  return {
    routes: [
      ...routesOf('invoice', 'invoices'),
      ...routesOf('debit-note', 'debitNotes'),
      { method: 'GET', pattern: `${BASE}/invoiceEvents`, handler: events(logs.invoice) },
      { method: 'GET', pattern: `${BASE}/debitNoteEvents`, handler: events(logs['debit-note']) },
      { method: 'POST', pattern: `${BASE}/invoices/{document}/reject`, handler: reject },
      {
        method: 'POST',
        pattern: `${BASE}/debitNotes/{document}/reject`,
        // As yagna answers it.
        handler: () => {
          throw new Failure(501, 'Not implemented');
        },
      },
    ],
    all: () => [...documents.values()],
    payments: () => [...payments],
    activityStarted(activity) {
      timers.set(
        activity,
        setInterval(() => note(activity), noteMs(activity.agreement)),
      );
    },
    activityEnded(activity) {
      clearInterval(timers.get(activity));
      timers.delete(activity);
      note(activity);
    },
    agreementEnded: invoice,
    stop() {
      for (const timer of timers.values()) clearInterval(timer);
      for (const timer of later) clearTimeout(timer);
    },
  };
}

/** What the demand asked for, which the provider took over. */
const seconds = (agreement: Agreement, property: string, fallback: number) =>
  Number(agreement.demand.properties[property] ?? fallback) * 1000;

const noteMs = (agreement: Agreement) =>
  agreement.provider.speed.debitNoteMs ??
  seconds(agreement, 'golem.com.scheme.payu.debit-note.interval-sec?', 120);

const acceptMs = (agreement: Agreement) =>
  agreement.provider.speed.acceptDebitNoteMs ??
  seconds(agreement, 'golem.com.payment.debit-notes.accept-timeout?', 120);

function dtoOf(document: Document, recipientId: string): PaymentApi.InvoiceDTO | PaymentApi.DebitNoteDTO {
  const { agreement, status, timestamp, activity } = document;
  const { id: issuerId } = agreement.provider;
  const platform = String(agreement.offer.properties['golem.com.payment.chosen-platform']);
  const common = {
    issuerId,
    recipientId,
    payeeAddr: String(
      agreement.offer.properties[`golem.com.payment.platform.${platform}.address`] ?? issuerId,
    ),
    payerAddr: recipientId,
    paymentPlatform: platform,
    timestamp,
    agreementId: agreement.id,
    paymentDueDate: new Date(Date.parse(timestamp) + DAY_MS).toISOString(),
    status,
  };
  if (activity === null)
    return {
      ...common,
      invoiceId: document.id,
      activityIds: document.activityIds,
      amount: textOf(document.amount),
    };
  return {
    ...common,
    debitNoteId: document.id,
    activityId: activity.id,
    totalAmountDue: textOf(document.amount),
    usageCounterVector: {},
  };
}
