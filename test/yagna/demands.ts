import type { MarketApi } from 'ya-ts-client';
import { z } from 'zod';
import type { Clock } from './clock.ts';
import { ConstraintSyntaxError, parseConstraint, satisfies, type Constraint } from './constraints.ts';
import { createEventQueue, type EventQueue } from './event-queue.ts';
import { bodyOf, created, empty, Failure, maximum, ok, timeoutMs, type Call, type Route } from './http.ts';
import { proposalId, subscriptionId } from './ids.ts';
import { answerToCounter, offered } from './negotiation.ts';
import type { Provider } from './provider.ts';

type ProposalDTO = MarketApi.ProposalDTO;
type MarketEvent = MarketApi.ProposalEventDTO | MarketApi.ProposalRejectedEventDTO;

export interface Demand {
  id: string;
  properties: Record<string, unknown>;
  text: string;
  constraint: Constraint;
  timestamp: string;
  expiresAt: number;
  queue: EventQueue<MarketEvent>;
}

/** One proposal of either side and where it stands in its chain. */
export interface Proposal {
  dto: ProposalDTO;
  demand: Demand;
  provider: Provider;
  by: 'provider' | 'requestor';
  previous: Proposal | null;
  /** An agreement was made of it, or it was rejected. */
  over: boolean;
}

export interface Demands {
  routes: Route[];
  open(): Demand[];
  proposal(id: string): Proposal | null;
  /** As a daemon that lost its memory. */
  forget(): void;
}

export interface DemandParts {
  clock: Clock;
  identity: string;
  providers: Provider[];
  /** Agreements that a provider has now. */
  load(provider: Provider): number;
}

const PATH = '/market-api/v1/demands';
/** Yagna's own length of a demand without an expiration. */
const DEFAULT_LIFE_MS = 3_600_000;
export const specification = z.object({
  properties: z.record(z.string(), z.unknown()),
  constraints: z.string(),
});

export function createDemands(parts: DemandParts): Demands {
  const demands = new Map<string, Demand>();
  const proposals = new Map<string, Proposal>();

  const find = (call: Call): Demand => {
    const demand = demands.get(call.params.subscription ?? '');
    if (demand !== undefined && demand.expiresAt > parts.clock.now()) return demand;
    throw new Failure(404, `Subscription [${call.params.subscription}] wasn't found or expired.`);
  };
  const findProposal = (call: Call): Proposal => {
    const found = proposals.get(call.params.proposal ?? '');
    if (found?.demand === find(call)) return found;
    throw new Failure(404, `Proposal [${call.params.proposal}] not found.`);
  };
  const add = (proposal: Omit<Proposal, 'over'>): Proposal => {
    const added = { ...proposal, over: false };
    proposals.set(added.dto.proposalId, added);
    return added;
  };
  const deliver = (proposal: Proposal) =>
    proposal.demand.queue.push({
      eventType: 'ProposalEvent',
      eventDate: parts.clock.stamp(),
      proposal: proposal.dto,
    });

  function publish(provider: Provider, demand: Demand): void {
    if (!satisfies(provider.properties, demand.constraint)) return;
    if (!satisfies(demand.properties, parseConstraint(provider.constraints))) return;
    const properties = offered(provider);
    if (properties === null) return;
    const dto = proposalOf('R', provider.id, 'Initial', { properties, constraints: provider.constraints });
    deliver(add({ dto, demand, provider, by: 'provider', previous: null }));
  }

  function proposalOf(
    side: 'R' | 'P',
    issuerId: string,
    state: ProposalDTO['state'],
    content: { properties: Record<string, unknown>; constraints: string },
    prevProposalId?: string,
  ): ProposalDTO {
    const dto = { proposalId: proposalId(side), issuerId, state, timestamp: parts.clock.stamp(), ...content };
    return prevProposalId === undefined ? dto : { ...dto, prevProposalId };
  }

  function subscribe(call: Call) {
    const { properties, constraints } = bodyOf(specification, call);
    const expiration = Number(properties['golem.srv.comp.expiration'] ?? NaN);
    const demand: Demand = {
      id: subscriptionId(),
      properties,
      text: constraints,
      constraint: constraintOf(constraints),
      timestamp: parts.clock.stamp(),
      expiresAt: Number.isNaN(expiration) ? parts.clock.now() + DEFAULT_LIFE_MS : expiration,
      queue: createEventQueue(),
    };
    demands.set(demand.id, demand);
    for (const provider of parts.providers)
      setTimeout(() => {
        if (demands.has(demand.id) && provider.alive) publish(provider, demand);
      }, provider.speed.offerMs);
    return created(demand.id);
  }

  function counter(call: Call) {
    const offer = findProposal(call);
    const content = bodyOf(specification, call);
    constraintOf(content.constraints);
    if (offer.by !== 'provider') throw new Failure(400, 'Proposal was issued by the requestor itself.');
    if (offer.over) throw new Failure(410, `Proposal [${offer.dto.proposalId}] was already countered.`);
    const fault = offer.provider.faults.take('counter');
    if (fault?.do === 'error') throw new Failure(500, 'GSB error: provider did not take the proposal');
    offer.over = true;
    const dto = proposalOf('R', parts.identity, 'Draft', content, offer.dto.proposalId);
    const own = add({ ...offer, dto, by: 'requestor', previous: offer });
    const { provider, demand } = offer;
    setTimeout(() => {
      if (!demands.has(demand.id) || !provider.alive || fault?.do === 'silent') return;
      const refusal =
        fault?.do === 'reject'
          ? { message: fault.reason }
          : answerToCounter(provider, content, { nowMs: parts.clock.now(), load: parts.load(provider) });
      if (refusal !== null) refuse(own, refusal.message);
      else answer(own);
    }, provider.speed.counterMs);
    return ok(dto.proposalId);
  }

  function answer(own: Proposal): void {
    const { provider, demand } = own;
    const properties = {
      ...provider.properties,
      'golem.com.payment.chosen-platform': own.dto.properties['golem.com.payment.chosen-platform'],
    };
    const content = { properties, constraints: provider.constraints };
    const dto = proposalOf('R', provider.id, 'Draft', content, own.dto.proposalId);
    deliver(add({ dto, demand, provider, by: 'provider', previous: own }));
  }

  function refuse(own: Proposal, message: string | undefined): void {
    const event = {
      eventType: 'ProposalRejectedEvent',
      eventDate: parts.clock.stamp(),
      proposalId: own.dto.proposalId,
    };
    own.demand.queue.push(message === undefined ? event : { ...event, reason: { message } });
  }

  const remove = (demand: Demand) => {
    demands.delete(demand.id);
    demand.queue.close();
    for (const [id, proposal] of proposals) if (proposal.demand === demand) proposals.delete(id);
  };

  return {
    routes: [
      { method: 'POST', pattern: PATH, handler: subscribe },
      {
        method: 'GET',
        pattern: PATH,
        handler: () => ok([...demands.values()].map((demand) => demandDto(demand, parts.identity))),
      },
      {
        method: 'DELETE',
        pattern: `${PATH}/{subscription}`,
        handler: (call) => {
          remove(find(call));
          return empty();
        },
      },
      {
        method: 'GET',
        pattern: `${PATH}/{subscription}/events`,
        handler: async (call) => {
          const demand = find(call);
          const max = maximum(call, 'maxEvents', 20);
          const events = await demand.queue.take(max, timeoutMs(call, 5), call.gone);
          if (events === null) throw new Failure(404, `Subscription [${demand.id}] wasn't found or expired.`);
          return ok(events);
        },
      },
      { method: 'POST', pattern: `${PATH}/{subscription}/proposals/{proposal}`, handler: counter },
      {
        method: 'GET',
        pattern: `${PATH}/{subscription}/proposals/{proposal}`,
        handler: (call) => ok(findProposal(call).dto),
      },
      {
        method: 'POST',
        pattern: `${PATH}/{subscription}/proposals/{proposal}/reject`,
        handler: (call) => {
          findProposal(call).over = true;
          return empty();
        },
      },
    ],
    open: () => [...demands.values()],
    proposal: (id) => proposals.get(id) ?? null,
    forget() {
      for (const demand of [...demands.values()]) remove(demand);
      proposals.clear();
    },
  };
}

export function demandDto(demand: Demand, requestorId: string): MarketApi.DemandDTO {
  const { id: demandId, properties, text: constraints, timestamp } = demand;
  return { demandId, requestorId, properties, constraints, timestamp };
}

export function constraintOf(text: string): Constraint {
  try {
    return parseConstraint(text);
  } catch (error) {
    if (error instanceof ConstraintSyntaxError) throw new Failure(400, error.message);
    throw error;
  }
}
