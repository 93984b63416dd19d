/** Which offers an execution takes, best first, and by which rule the others were dropped. Pure. */
import { createHash } from 'node:crypto';
import type { Candidate, Negotiated } from '../backend.ts';
import type { ProviderFilter } from '../../domain/jobspec/constraints.ts';
import type { Region } from '../../domain/jobspec/region.ts';
import { probeNeed, type RegionClaim, type RegionPolicy } from '../../domain/region/judge.ts';
import { decimalOf } from '../../domain/money/decimal.ts';
import { NETWORK_CAPABILITIES } from './probe.ts';
import { minutePriceOf, priceOf, type Quantity } from './price.ts';
import type { Offer } from './offer.ts';
import type { PriceCaps } from './settings.ts';

/** Handed to `execute`: enough that some of them approve, few enough that an attempt does not talk to the whole network. */
const CANDIDATES = 8;

export interface Standing {
  /** Share of this worker's attempts there that did not fail for the provider; 0.5 when it has none. */
  success: number;
  /** Attempts of this worker that run there now. */
  running: number;
  /** It failed a moment ago. */
  cooling: boolean;
}

export interface RankRequest {
  /** Null: anywhere. */
  region: Region | null;
  policy: RegionPolicy;
  /** An echo endpoint and a GeoIP database are there. */
  canProbe: boolean;
  /** Of the job, for this region. */
  filters: readonly ProviderFilter[];
  caps: PriceCaps;
  /** How long a rental may last, for its expected price. */
  rental: Quantity;
  /** Spreads equal offers differently for each execution. */
  seed: string;
}

export type DropRule = 'price' | 'other_region' | 'region_unknown' | 'blacklist' | 'filter' | 'cooling_down';

export interface Claimed {
  offer: Offer;
  claim: RegionClaim;
}

/** Rules that a higher price limit would change. */
const PRICE_RULES: readonly DropRule[] = ['price'];
export const isPriceRule = (rule: string): boolean => (PRICE_RULES as readonly string[]).includes(rule);

export function rank(
  offers: readonly Claimed[],
  standing: (provider: string) => Standing,
  request: RankRequest,
): Negotiated {
  const dropped: Partial<Record<DropRule, number>> = {};
  const kept: { candidate: Candidate; score: number; tie: string }[] = [];
  for (const { offer, claim } of offers) {
    const of = standing(offer.provider);
    const estimate = priceOf(offer, request.rental);
    const score = scoreOf(estimate, claim, of, request);
    const rule = ruleAgainst(offer, claim, of, { estimate, score }, request);
    if (rule !== undefined) {
      dropped[rule] = (dropped[rule] ?? 0) + 1;
      continue;
    }
    kept.push({
      candidate: {
        provider: offer.provider,
        name: offer.name,
        claim,
        estimate: decimalOf(estimate),
      },
      score: score - of.running,
      tie: createHash('sha256').update(`${request.seed} ${offer.provider}`).digest('hex'),
    });
  }
  // Where somebody says where it is, nobody is asked who does not.
  if (kept.some(({ candidate }) => candidate.claim.class !== 'P3')) {
    const unclaimed = kept.filter(({ candidate }) => candidate.claim.class === 'P3');
    if (request.region !== null && unclaimed.length > 0) {
      dropped.region_unknown = (dropped.region_unknown ?? 0) + unclaimed.length;
      for (const one of unclaimed) kept.splice(kept.indexOf(one), 1);
    }
  }
  kept.sort((a, b) => b.score - a.score || (a.tie < b.tie ? -1 : 1));
  return {
    candidates: kept.slice(0, CANDIDATES).map(({ candidate }) => candidate),
    seen: offers.length,
    dropped,
  };
}

function ruleAgainst(
  offer: Offer,
  claim: RegionClaim,
  standing: Standing,
  { estimate, score }: { estimate: number; score: number },
  request: RankRequest,
): DropRule | undefined {
  const { region, policy, canProbe, filters, caps } = request;
  const lists = (list: readonly string[]): boolean =>
    list.some((one) => one.toLowerCase() === offer.provider.toLowerCase() || one === offer.name);
  if (filters.some(({ blacklist }) => lists(blacklist))) return 'blacklist';
  if (region !== null) {
    if (claim.region !== null && claim.region !== region) return 'other_region';
    const need = probeNeed(policy, claim.class, canProbe);
    if (need === 'impossible' || (need === 'required' && !hasNetwork(offer))) return 'region_unknown';
  }
  const { start, cpuSec, envSec } = offer.pricing;
  const above =
    start > caps.start ||
    cpuSec > caps.cpuHour / 3_600 ||
    envSec > caps.envHour / 3_600 ||
    minutePriceOf(offer) > (caps.minute ?? Infinity) ||
    estimate > (caps.total ?? Infinity);
  if (above) return 'price';
  if (filters.length > 0 && !filters.some(({ whitelist }) => lists(whitelist))) {
    const asked = filters.filter((one) => one.whitelist.length === 0);
    const cheap = asked.filter(
      ({ maxPrice }) => maxPrice === undefined || maxPrice === 0 || estimate <= maxPrice,
    );
    if (asked.length > 0 && cheap.length === 0) return 'price';
    if (!cheap.some(({ minScore }) => minScore === undefined || score >= minScore)) return 'filter';
  }
  return standing.cooling ? 'cooling_down' : undefined;
}

function hasNetwork({ properties }: Offer): boolean {
  const offered = properties['golem.runtime.capabilities'];
  return Array.isArray(offered) && NETWORK_CAPABILITIES.every((one) => offered.includes(one));
}

const CLASS_WORTH = { P0: 1, P1: 0.75, P2: 0.5, P3: 0 } as const;

/** 0 to 1: half of it price, the rest how it did before and how well its region is known. */
function scoreOf(estimate: number, claim: RegionClaim, { success }: Standing, request: RankRequest): number {
  const { caps, rental } = request;
  const most = caps.start + (rental.seconds / 3_600) * (caps.cpuHour * rental.threads + caps.envHour);
  const price = most <= 0 ? 1 : Math.max(0, 1 - estimate / most);
  return Math.round((0.5 * price + 0.3 * success + 0.2 * CLASS_WORTH[claim.class]) * 1_000) / 1_000;
}
