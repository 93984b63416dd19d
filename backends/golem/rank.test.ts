import { describe, expect, it } from 'vitest';
import type { RegionClaim } from '../../domain/region/judge.ts';
import { claimOf, readOffer } from './offer.ts';
import { rank, type RankRequest, type Standing } from './rank.ts';
import { noCandidates } from './no-candidates.ts';
import type { Work } from '../backend.ts';

const id = (at: number): string => `0x${String(at).padStart(40, '0')}`;
const properties = (given: object = {}, coeffs: unknown = [0.00001, 0.00001, 0.01]): object => ({
  'golem.com.usage.vector': ['golem.usage.cpu_sec', 'golem.usage.duration_sec'],
  'golem.com.pricing.model.linear.coeffs': coeffs,
  'golem.inf.cpu.threads': 1,
  'golem.runtime.capabilities': ['inet', 'manifest-support'],
  ...given,
});
const us: RegionClaim = { class: 'P0', region: 'US', source: 'x', value: 'US' };
const offer = (at: number, claim: RegionClaim = us, coeffs?: unknown) => ({
  offer: readOffer(id(at), properties({}, coeffs))!,
  claim,
});
const request: RankRequest = {
  region: 'US',
  policy: 'claimed',
  canProbe: false,
  filters: [],
  caps: { start: 0.1, cpuHour: 0.1, envHour: 0.1, minute: null, total: null },
  rental: { seconds: 600, threads: 1 },
  seed: '1',
};
const unknown: Standing = { success: 0.5, running: 0, cooling: false };
const ranked = (offers: Parameters<typeof rank>[0], more: Partial<RankRequest> = {}) =>
  rank(offers, () => unknown, { ...request, ...more });
const filter = (given: object) => ({
  region: 'US' as const,
  minScore: undefined,
  maxPrice: undefined,
  whitelist: [],
  blacklist: [],
  ...given,
});

describe('an offer', () => {
  it.each([
    [{ 'golem.runtime.beacon-region': 'us-east', 'golem.runtime.region': 'EU' }, 'P0', 'US'],
    [{ 'golem.runtime.region': 'EU' }, 'P1', 'EU'],
    [{ 'golem.node.geo.country_code': 'DE' }, 'P1', 'EU'],
    [{ 'golem.node.debug.subnet': 'beacon-eu' }, 'P2', 'EU'],
    [{ 'golem.runtime.beacon-region': 'the moon' }, 'P3', null],
    [{}, 'P3', null],
  ])('%j is of class %s', (given, kind, region) => {
    const regionOfCountry = (country: string) => (country === 'DE' ? ('EU' as const) : null);
    const settings = { regionSubnets: { 'beacon-eu': 'EU' as const }, regionLists: {}, regionOfCountry };
    expect(claimOf(readOffer(id(1), properties(given))!, settings)).toMatchObject({ class: kind, region });
  });

  it('without the three prices, a node id or numbers is none', () => {
    for (const coeffs of [undefined, [], [0], [0, 0], ['a', 0, 0], [NaN, 0, 0], [-1, 0, 0], 'x'])
      expect(
        readOffer(id(1), { ...properties(), 'golem.com.pricing.model.linear.coeffs': coeffs }),
      ).toBeUndefined();
    expect(readOffer('provider', properties())).toBeUndefined();
    expect(readOffer(id(1), null)).toBeUndefined();
  });
});

describe('the ranking', () => {
  it('prefers the cheaper, then who did better, then whose region is known best, and spreads load', () => {
    const dear = offer(2, us, [0.00002, 0.00002, 0.05]);
    expect(ranked([dear, offer(1)]).candidates.map(({ provider }) => provider)).toEqual([id(1), id(2)]);
    const standings = (of: Partial<Record<string, Partial<Standing>>>) =>
      rank([offer(1), offer(2)], (provider) => ({ ...unknown, ...of[provider] }), request).candidates[0]
        ?.provider;
    expect(standings({ [id(1)]: { success: 0.1 } })).toBe(id(2));
    expect(standings({ [id(2)]: { success: 0.1 } })).toBe(id(1));
    expect(standings({ [id(1)]: { running: 1 } })).toBe(id(2));
    const geo: RegionClaim = { ...us, class: 'P1' };
    expect(ranked([offer(1, geo), offer(2)]).candidates[0]?.provider).toBe(id(2));
  });

  it('says by which rule an offer was dropped', () => {
    const eu: RegionClaim = { ...us, region: 'EU' };
    const none: RegionClaim = { class: 'P3', region: null, source: 'none', value: null };
    expect(ranked([offer(1, eu)]).dropped).toEqual({ other_region: 1 });
    expect(ranked([offer(1, none)]).dropped).toEqual({ region_unknown: 1 });
    expect(ranked([offer(1, us, [1, 0, 0])]).dropped).toEqual({ price: 1 });
    const bounded = (more: object) => ranked([offer(1)], { caps: { ...request.caps, ...more } });
    // 0.01 to start, and 0.00002 a second.
    expect(bounded({ minute: 0.00121 }).candidates).toHaveLength(1);
    expect(bounded({ minute: 0.00119 }).dropped).toEqual({ price: 1 });
    expect(bounded({ total: 0.0221 }).candidates).toHaveLength(1);
    expect(bounded({ total: 0.0219 }).dropped).toEqual({ price: 1 });
    expect(ranked([offer(1)], { filters: [filter({ blacklist: [id(1)] })] }).dropped).toEqual({
      blacklist: 1,
    });
    expect(ranked([offer(1)], { filters: [filter({ whitelist: [id(2)] })] }).dropped).toEqual({ filter: 1 });
    expect(ranked([offer(1)], { filters: [filter({ minScore: 2 })] }).dropped).toEqual({ filter: 1 });
    expect(ranked([offer(1)], { filters: [filter({ maxPrice: 0.000001 })] }).dropped).toEqual({ price: 1 });
    expect(rank([offer(1)], () => ({ ...unknown, cooling: true }), request).dropped).toEqual({
      cooling_down: 1,
    });
  });

  it('takes a whitelisted provider whatever the other filters say, but never a blacklisted one', () => {
    const filters = [filter({ minScore: 2, whitelist: [id(1), id(2)] }), filter({ blacklist: [id(2)] })];
    expect(ranked([offer(1), offer(2)], { filters }).candidates.map(({ provider }) => provider)).toEqual([
      id(1),
    ]);
  });

  it('asks providers that say nothing only where nobody says where it is, and only where they can be probed', () => {
    const none: RegionClaim = { class: 'P3', region: null, source: 'none', value: null };
    expect(ranked([offer(1, none)], { canProbe: true }).candidates).toHaveLength(1);
    expect(ranked([offer(1, none), offer(2)], { canProbe: true }).candidates).toHaveLength(1);
    const verified = { policy: 'verified' as const };
    expect(ranked([offer(1)], verified).dropped).toEqual({ region_unknown: 1 });
    expect(ranked([offer(1)], { ...verified, canProbe: true }).candidates).toHaveLength(1);
  });
});

it.each([
  [0, {}, 'no_offers'],
  [2, { price: 2 }, 'offers_too_expensive'],
  [3, { price: 1, other_region: 2 }, 'offers_too_expensive'],
  [2, { blacklist: 1, other_region: 1 }, 'offers_filtered_out'],
  [2, { other_region: 2 }, 'offers_filtered_out'],
])('no candidates of %i offers, dropped %j, is %s', (seen, dropped, code) => {
  const work = { region: 'US', negotiated: { candidates: [], seen, dropped } } as unknown as Work;
  expect(noCandidates(work).failure.code).toBe(code);
});
