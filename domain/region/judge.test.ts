import { expect, it } from 'vitest';
import { regionOfCountry } from './country.ts';
import {
  judgeRegion,
  OFFER_CLASSES,
  probeNeed,
  REGION_POLICIES,
  type OfferClass,
  type RegionObservation,
} from './judge.ts';

const seen = (country: string | null): RegionObservation => ({
  address: '192.0.2.7',
  country,
  region: country === null ? null : regionOfCountry(country),
  seenAt: '2026-01-02T03:04:05.000Z',
  nonceSha256: 'ab'.repeat(32),
  geoip: { database: 'test', builtAt: '2026-01-01T00:00:00.000Z' },
});
const claim = (offer: OfferClass) => ({
  class: offer,
  region: offer === 'P3' ? null : ('US' as const),
  source: offer === 'P3' ? 'none' : 'golem.runtime.beacon-region',
  value: offer === 'P3' ? null : 'us-east',
});

it('a claim alone is enough for P0 to P2 where the policy says so, and is never called verified', () => {
  for (const offer of ['P0', 'P1', 'P2'] as const) {
    const judged = judgeRegion({
      requested: 'US',
      policy: 'claimed',
      claim: claim(offer),
      observation: null,
    });
    expect(judged).toMatchObject({ run: true, region: { claimed: 'US', observed: null, verified: false } });
  }
});

it('P3, and every offer under `verified`, runs only after an observation of the region', () => {
  for (const policy of REGION_POLICIES)
    for (const offer of OFFER_CLASSES) {
      const needed = policy === 'verified' || offer === 'P3';
      expect(probeNeed(policy, offer, true)).toBe(needed ? 'required' : 'optional');
      expect(probeNeed(policy, offer, false)).toBe(needed ? 'impossible' : 'none');
      const ask = (observation: RegionObservation | null) =>
        judgeRegion({ requested: 'US', policy, claim: claim(offer), observation });
      expect(ask(seen('US'))).toMatchObject({
        run: true,
        region: { observed: 'US', verified: true, method: 'preflight-geoip' },
      });
      expect(ask(null)).toMatchObject(needed ? { run: false, refusal: 'probe_missing' } : { run: true });
      expect(ask(seen(null))).toMatchObject(
        needed ? { run: false, refusal: 'probe_inconclusive' } : { run: true, region: { verified: false } },
      );
    }
});

it('whoever is seen elsewhere is refused whatever it claims, also where no region is', () => {
  for (const policy of REGION_POLICIES)
    for (const offer of OFFER_CLASSES)
      for (const country of ['DE', 'MX']) {
        const judged = judgeRegion({
          requested: 'US',
          policy,
          claim: claim(offer),
          observation: seen(country),
        });
        expect(judged).toMatchObject({
          run: false,
          refusal: 'region_contradicted',
          region: { verified: false, observed: regionOfCountry(country) },
        });
      }
});

it('the evidence says what was claimed where, what was seen, and by which tables', () => {
  const { region } = judgeRegion({
    requested: 'US',
    policy: 'verified',
    claim: claim('P1'),
    observation: seen('PR'),
  });
  expect(region.evidence).toEqual({
    class: 'P1',
    claim: { source: 'golem.runtime.beacon-region', value: 'us-east' },
    probe: {
      address: '192.0.2.7',
      country: 'PR',
      seen_at: '2026-01-02T03:04:05.000Z',
      nonce_sha256: 'ab'.repeat(32),
    },
    countries: 'countries/1',
    geoip: { database: 'test', built_at: '2026-01-01T00:00:00.000Z' },
  });
});
