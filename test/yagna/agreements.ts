import type { MarketApi } from 'ya-ts-client';
import { z } from 'zod';
import type { Clock } from './clock.ts';
import { demandDto, type Demands, type Proposal } from './demands.ts';
import { createEventLog } from './event-log.ts';
import { bodyOf, empty, Failure, maximum, ok, timeoutMs, type Call, type Route } from './http.ts';
import { agreementId } from './ids.ts';
import type { Provider } from './provider.ts';
import type { ProviderFault, TerminationReason } from './provider-faults.ts';
import { createWake, until, type Wake } from './wake.ts';

type State = MarketApi.AgreementStateDTO;

export interface Agreement {
  readonly id: string;
  state: State;
  readonly validTo: string;
  readonly timestamp: string;
  approvedDate: string | null;
  session: string | null;
  readonly demand: MarketApi.DemandDTO;
  readonly offer: MarketApi.OfferDTO;
  readonly provider: Provider;
  reason: Record<string, unknown> | null;
  readonly changed: Wake;
}

export interface Agreements {
  routes: Route[];
  all(): Agreement[];
  get(id: string): Agreement | null;
  endByProvider(agreement: Agreement, reason: TerminationReason): void;
}

export interface AgreementParts {
  clock: Clock;
  identity: string;
  demands: Demands;
  approved(agreement: Agreement): void;
  /** Terminated by either side. */
  ended(agreement: Agreement): void;
}

type ApprovalFault = Extract<ProviderFault, { at: 'approval' }> | null;

const PATH = '/market-api/v1/agreements';
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const OPEN: State[] = ['Proposal', 'Pending'];
const proposed = z.object({ proposalId: z.string(), validTo: z.iso.datetime({ offset: true }) });
const reason = z.object({ message: z.string() }).loose();

export function createAgreements(parts: AgreementParts): Agreements {
  const agreements = new Map<string, Agreement>();
  const log = createEventLog<MarketApi.AgreementOperationEventDTO>();

  const find = (call: Call): Agreement => {
    const found = agreements.get(call.params.agreement ?? '');
    if (found !== undefined) return found;
    throw new Failure(404, `Agreement [${call.params.agreement}] not found.`);
  };
  const become = (agreement: Agreement, state: State, more: Record<string, unknown> = {}) => {
    agreement.state = state;
    const event = { eventDate: parts.clock.stamp(), agreementId: agreement.id, ...more };
    if (state !== 'Expired') log.append(agreement.session, { eventType: `Agreement${state}Event`, ...event });
    agreement.changed.wake();
  };
  const terminate = (
    agreement: Agreement,
    terminator: 'Requestor' | 'Provider',
    why: Record<string, unknown>,
  ) => {
    agreement.reason = why;
    become(agreement, 'Terminated', { terminator, reason: why, signature: 'NoSignature' });
    parts.ended(agreement);
  };

  function endByProvider(agreement: Agreement, code: TerminationReason): void {
    if (agreement.state !== 'Approved' || !agreement.provider.alive) return;
    terminate(agreement, 'Provider', { message: MESSAGES[code], 'golem.provider.code': code });
  }

  function create(call: Call) {
    const { proposalId, validTo } = bodyOf(proposed, call);
    const draft = parts.demands.proposal(proposalId);
    if (draft === null) throw new Failure(404, `Proposal [${proposalId}] not found.`);
    const own = draft.previous;
    if (draft.by !== 'provider' || draft.dto.state !== 'Draft' || own === null)
      throw new Failure(409, `Proposal [${proposalId}] is not negotiated yet.`);
    if (draft.over) throw new Failure(409, `Agreement for proposal [${proposalId}] already exists.`);
    const left = Date.parse(validTo) - parts.clock.now();
    if (left <= 0) throw new Failure(400, 'Agreement valid to must be in the future.');
    draft.over = true;
    const agreement = agreementOf(draft, own, validTo);
    agreements.set(agreement.id, agreement);
    setTimeout(
      () => {
        if (OPEN.includes(agreement.state)) become(agreement, 'Expired');
        else endByProvider(agreement, 'Expired');
      },
      Math.min(left, LONGEST_TIMER_MS),
    ).unref();
    return ok(agreement.id);
  }

  function agreementOf(draft: Proposal, own: Proposal, validTo: string): Agreement {
    const { properties, constraints, timestamp } = draft.dto;
    const { provider } = draft;
    return {
      id: agreementId(),
      state: 'Proposal',
      validTo,
      timestamp: parts.clock.stamp(),
      approvedDate: null,
      session: null,
      demand: {
        ...demandDto(draft.demand, parts.identity),
        properties: own.dto.properties,
        constraints: own.dto.constraints,
      },
      offer: { offerId: provider.offerId, providerId: provider.id, properties, constraints, timestamp },
      provider,
      reason: null,
      changed: createWake(),
    };
  }

  function confirm(call: Call) {
    const agreement = find(call);
    if (agreement.state !== 'Proposal')
      throw new Failure(410, `Agreement [${agreement.id}] is in state ${agreement.state}.`);
    agreement.session = call.query.get('appSessionId');
    agreement.state = 'Pending';
    const { provider } = agreement;
    const fault = provider.faults.take('approval');
    const after = provider.speed.approvalMs + (fault?.do === 'slow' ? fault.ms : 0);
    if (fault?.do !== 'never') setTimeout(() => decide(agreement, fault), after);
    return empty();
  }

  function decide(agreement: Agreement, fault: ApprovalFault): void {
    if (agreement.state !== 'Pending' || !agreement.provider.alive) return;
    if (fault?.do === 'expire') {
      become(agreement, 'Expired');
    } else if (fault?.do === 'reject') {
      const why = fault.reason === undefined ? {} : { reason: { message: fault.reason } };
      become(agreement, 'Rejected', why);
    } else {
      agreement.approvedDate = parts.clock.stamp();
      become(agreement, 'Approved');
      parts.approved(agreement);
    }
  }

  async function wait(call: Call) {
    const agreement = find(call);
    if (agreement.state === 'Proposal') throw new Failure(400, 'Agreement is not confirmed yet.');
    const decided = await until(
      () => agreement.state !== 'Pending',
      agreement.changed,
      timeoutMs(call, 5),
      call.gone,
    );
    if (!decided) throw new Failure(408, `Agreement [${agreement.id}] was not approved in time.`);
    if (agreement.state === 'Approved') return empty();
    if (agreement.state === 'Terminated') throw new Failure(400, 'Agreement is terminated.');
    throw new Failure(410, `Agreement [${agreement.id}] is ${agreement.state}.`);
  }

  function end(call: Call) {
    const agreement = find(call);
    const why = call.body === undefined ? { message: 'Finished' } : bodyOf(reason, call);
    if (agreement.state === 'Proposal' || agreement.state === 'Pending')
      throw new Failure(409, `Agreement [${agreement.id}] is still in state ${agreement.state}.`);
    if (agreement.state !== 'Approved')
      throw new Failure(410, `Agreement [${agreement.id}] is already ${agreement.state}.`);
    terminate(agreement, 'Requestor', why);
    return empty(200);
  }

  function cancel(call: Call) {
    const agreement = find(call);
    if (!OPEN.includes(agreement.state))
      throw new Failure(410, `Agreement [${agreement.id}] is already ${agreement.state}.`);
    become(agreement, 'Cancelled');
    return empty();
  }

  async function events(call: Call) {
    return ok(
      await log.read({
        after: call.query.get('afterTimestamp'),
        session: call.query.get('appSessionId'),
        max: maximum(call, 'maxEvents', 20),
        timeoutMs: timeoutMs(call, 5),
        gone: call.gone,
      }),
    );
  }

  return {
    routes: [
      { method: 'POST', pattern: PATH, handler: create },
      { method: 'GET', pattern: PATH, handler: (call) => ok(listed([...agreements.values()], call)) },
      { method: 'GET', pattern: '/market-api/v1/agreementEvents', handler: events },
      { method: 'GET', pattern: `${PATH}/{agreement}`, handler: (call) => ok(dtoOf(find(call))) },
      { method: 'POST', pattern: `${PATH}/{agreement}/confirm`, handler: confirm },
      { method: 'POST', pattern: `${PATH}/{agreement}/wait`, handler: wait },
      { method: 'POST', pattern: `${PATH}/{agreement}/cancel`, handler: cancel },
      { method: 'POST', pattern: `${PATH}/{agreement}/terminate`, handler: end },
      {
        method: 'GET',
        pattern: `${PATH}/{agreement}/terminate/reason`,
        handler: (call) => ok(find(call).reason),
      },
    ],
    all: () => [...agreements.values()],
    get: (id) => agreements.get(id) ?? null,
    endByProvider,
  };
}

function listed(agreements: Agreement[], call: Call): MarketApi.AgreementListEntryDTO[] {
  const { query } = call;
  const time = (name: string, fallback: number) => {
    const text = query.get(name);
    return text === null ? fallback : Date.parse(text);
  };
  const [after, before] = [time('afterDate', -Infinity), time('beforeDate', Infinity)];
  const [state, session] = [query.get('state'), query.get('appSessionId')];
  return agreements
    .filter((one) => Date.parse(one.timestamp) > after && Date.parse(one.timestamp) < before)
    .filter((one) => (state === null || one.state === state) && (session === null || one.session === session))
    .map(({ id, timestamp, approvedDate }) => ({
      id,
      timestamp,
      role: 'Requestor',
      ...(approvedDate === null ? {} : { approvedDate }),
    }));
}

function dtoOf(agreement: Agreement): MarketApi.AgreementDTO {
  const { id, demand, offer, validTo, state, timestamp, approvedDate, session } = agreement;
  return {
    agreementId: id,
    demand,
    offer,
    validTo,
    state,
    timestamp,
    ...(approvedDate === null ? {} : { approvedDate }),
    ...(session === null ? {} : { appSessionId: session }),
  };
}

const MESSAGES: Record<TerminationReason, string> = {
  NoActivity: 'No activity created within 90s from Agreement Approval.',
  DebitNotesDeadline: 'Requestor did not accept DebitNote within the agreed deadline.',
  DebitNoteNotPaid: 'Requestor did not pay DebitNote in time.',
  RequestorUnreachable: 'Requestor is unreachable more than 5min.',
  Expired: 'Agreement expired.',
  Shutdown: 'Provider is shutting down.',
  InitializationError: 'Error initializing ExeUnit.',
};
