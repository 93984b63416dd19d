/**
 * From a demand of our own to an approved agreement with one of the candidates:
 *   offered   -> the provider's offer came and is on the ranking: countered
 *   drafted   -> it answered: the best draft that is there is proposed
 *   refused   -> by reason, at the counter or at the agreement: the next draft
 *   approved  -> the end; the demand is taken back
 * Every wait is bounded. What was made and not approved is cancelled before the next is proposed.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Candidate } from '../backend.ts';
import { Refusal } from '../refusal.ts';
import { attemptContext, type AttemptHooks } from './attempt-context.ts';
import type { Connection } from './connection.ts';
import { readOffer } from './offer.ts';
import { minutePriceOf } from './price.ts';
import { ATTEMPT_PROPERTY, endAgreement } from './release.ts';
import { YagnaError, type Rest } from './rest.ts';
import { rentHours } from './rent-hours.ts';
import type { Golem } from './sdk.ts';
import type { PriceCaps, Waits } from './settings.ts';
import { isAway } from './away.ts';
import { bounded, messageOf, statusOf, unlessAborted } from './waiting.ts';

/** Initial offers are gathered so long by the SDK before they are countered: enough to see a provider's two at once. */
const BATCH_MS = 20;
/** After the first draft one of a candidate that is ranked higher may come. */
const BETTER_MS = 150;

export interface AgreeRequest {
  candidates: readonly Candidate[];
  token: string;
  workload: NonNullable<Golem.MarketOrderSpec['demand']['workload']>;
  subnet: string;
  allocation: Golem.Allocation;
  caps: PriceCaps;
  /** How long the agreement may last. */
  rentalSeconds: number;
  waits: Pick<Waits, 'agreeMs' | 'approvalMs'>;
  signal: AbortSignal;
  hooks: Pick<AttemptHooks, 'id' | 'results' | 'over'>;
  /** A provider that refused, for whoever ranks next. */
  refused(provider: string, why: string): void;
  heartbeat(phase: string): void;
}

export interface Agreed {
  agreement: Golem.Agreement;
  proposal: Golem.OfferProposal;
  candidate: Candidate;
}

interface Refused {
  provider: string;
  why: string;
}

export async function agree({ glm }: Connection, rest: Rest, request: AgreeRequest): Promise<Agreed> {
  const { candidates, waits } = request;
  const negotiated = new AbortController();
  setMaxListeners(0, negotiated.signal);
  const refusals: Refused[] = [];
  const drafts: Golem.OfferProposal[] = [];
  const providerOf = new Map<string, string>();
  let demandLost = false;
  let betterUntil: number | undefined;
  let wake = (): void => undefined;
  const refuse = (provider: string | undefined, why: string): void => {
    if (provider === undefined || refusals.some((one) => one.provider === provider)) return;
    refusals.push({ provider, why });
    request.refused(provider, why);
    wake();
  };
  const hooks: AttemptHooks = {
    ...request.hooks,
    negotiated: negotiated.signal,
    countered: (proposal, counter) => {
      const provider = providerOf.get(proposal);
      if (provider !== undefined) providerOf.set(counter, provider);
    },
    counterFailed: (proposal, why) => refuse(providerOf.get(proposal), why),
    rejected: (counter, why) => refuse(providerOf.get(counter), why),
    unreadable: () => undefined,
    demandLost: () => {
      demandLost = true;
      wake();
    },
  };
  const wanted = new Map(candidates.map((one, at) => [one.provider, at]));
  const isWanted = (proposal: Golem.OfferProposal): boolean => {
    const { id } = proposal.provider;
    if (!wanted.has(id) || isTooDear(proposal, request.caps)) return false;
    providerOf.set(proposal.id, id);
    return true;
  };
  const limit = bounded(request.signal, waits.agreeMs, () => nobody(candidates, refusals, 'in time'));
  setMaxListeners(0, limit.signal);
  let broken: unknown;
  const woken = (): Promise<void> => new Promise((resolve) => (wake = resolve));
  /** Somebody ranked higher has neither answered nor refused. */
  const mayBeBetter = ({ provider }: Golem.OfferProposal): boolean =>
    candidates
      .slice(0, wanted.get(provider.id))
      .some((one) => !refusals.some((refused) => refused.provider === one.provider));
  const publish = async (): Promise<{ unsubscribe(): void }> => {
    demandLost = false;
    const spec = await unlessAborted(limit.signal, demandOf(glm, request));
    return glm.market
      .collectDraftOfferProposals({
        demandSpecification: spec,
        pricing: pricingOf(request.caps),
        filter: isWanted,
        proposalsBatchReleaseTimeoutMs: BATCH_MS,
      })
      .subscribe({
        next: (proposal) => {
          drafts.push(proposal);
          betterUntil ??= performance.now() + BETTER_MS;
          wake();
        },
        error: (error: unknown) => {
          broken = error;
          wake();
        },
      });
  };
  return attemptContext.run(hooks, async () => {
    let subscription: { unsubscribe(): void } | undefined;
    try {
      request.heartbeat('demand out');
      subscription = await publish();
      for (;;) {
        const next = bestOf(drafts, wanted);
        if (next === undefined) {
          if (refusals.length >= candidates.length) throw nobody(candidates, refusals, '');
          if (broken !== undefined) throw new Error('the SDK gave the market up', { cause: broken });
          if (demandLost) {
            subscription.unsubscribe();
            subscription = await publish();
          }
          await unlessAborted(limit.signal, woken());
          continue;
        }
        const left = (betterUntil ?? 0) - performance.now();
        if (left > 0 && mayBeBetter(next)) {
          await unlessAborted(limit.signal, Promise.race([woken(), delay(left)]));
          continue;
        }
        drafts.splice(drafts.indexOf(next), 1);
        const provider = next.provider.id;
        request.heartbeat(`agreement pending with ${provider}`);
        const agreement = await propose(glm, rest, next, request, limit.signal, (why) =>
          refuse(provider, why),
        );
        if (agreement !== undefined)
          return { agreement, proposal: next, candidate: candidates[wanted.get(provider)!]! };
      }
    } catch (error) {
      throw limit.signal.aborted ? limit.signal.reason : error;
    } finally {
      limit.done();
      negotiated.abort();
      subscription?.unsubscribe();
    }
  });
}

/** Undefined when the provider did not approve; then nothing of it is left. */
async function propose(
  glm: Golem.GolemNetwork,
  rest: Rest,
  proposal: Golem.OfferProposal,
  { rentalSeconds, waits, hooks }: AgreeRequest,
  signal: AbortSignal,
  refuse: (why: string) => void,
): Promise<Golem.Agreement | undefined> {
  let id: string | undefined;
  const own = bounded(signal, waits.approvalMs + 5_000, () => new YagnaError('yagna did not answer'));
  setMaxListeners(0, own.signal);
  const outer = attemptContext.getStore()!;
  const noted: AttemptHooks = {
    ...outer,
    id: async (kind, made) => {
      if (kind === 'agreement') id = made;
      await hooks.id(kind, made);
    },
  };
  try {
    return await attemptContext.run(noted, () =>
      unlessAborted(
        own.signal,
        glm.market.proposeAgreement(
          proposal,
          { expirationSec: rentalSeconds, waitingForApprovalTimeoutSec: Math.ceil(waits.approvalMs / 1_000) },
          own.signal,
        ),
      ),
    );
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (isAway(error)) throw error;
    const status = statusOf(error);
    refuse(status === 408 ? `no approval in ${waits.approvalMs} ms` : messageOf(error));
    if (id !== undefined) await endAgreement(rest, id);
    return undefined;
  } finally {
    own.done();
  }
}

async function demandOf(glm: Golem.GolemNetwork, request: AgreeRequest): Promise<Golem.DemandSpecification> {
  const spec = await glm.market.buildDemandDetails(
    { workload: request.workload, subnetTag: request.subnet },
    { rentHours: rentHours(request.rentalSeconds), pricing: pricingOf(request.caps) },
    request.allocation,
  );
  (spec.prototype.properties as { key: string; value: unknown }[]).push({
    key: ATTEMPT_PROPERTY,
    value: request.token,
  });
  return spec;
}

/** What the SDK's own prices cannot say. A look may be older than the offer. */
function isTooDear({ provider, properties }: Golem.OfferProposal, { minute }: PriceCaps): boolean {
  if (minute === null) return false;
  const offer = readOffer(provider.id, properties);
  return offer === undefined || minutePriceOf(offer) > minute;
}

const pricingOf = ({ start, cpuHour, envHour }: PriceCaps): Golem.PricingOptions => ({
  model: 'linear',
  maxStartPrice: start,
  maxCpuPerHourPrice: cpuHour,
  maxEnvPerHourPrice: envHour,
});

function bestOf(
  drafts: readonly Golem.OfferProposal[],
  wanted: ReadonlyMap<string, number>,
): Golem.OfferProposal | undefined {
  return [...drafts].sort((a, b) => wanted.get(a.provider.id)! - wanted.get(b.provider.id)!)[0];
}

function nobody(candidates: readonly Candidate[], refusals: readonly Refused[], when: string): Refusal {
  const last = refusals.at(-1);
  const said = last === undefined ? '' : `; ${last.provider} said: ${last.why}`;
  return new Refusal(
    'nobody_approved',
    `none of ${candidates.length} candidates approved${when === '' ? '' : ` ${when}`}, ${refusals.length} refused${said}`,
  );
}
