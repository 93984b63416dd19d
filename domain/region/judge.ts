/**
 * Whether a provider may get a job's input, by what it claims of its region and what was observed of it (docs/golem.md).
 * Classes of offers: P0 our own region property equals the region; P1 another region or geo property does; P2 its subnet
 * or an operator's list says so; P3 nothing says where it is. `observed` is only ever the region of the source address
 * that our echo endpoint saw, never what the provider says.
 */
import type { Region } from '../jobspec/region.ts';
import { COUNTRY_TABLE } from './country.ts';

export const OFFER_CLASSES = ['P0', 'P1', 'P2', 'P3'] as const;
export type OfferClass = (typeof OFFER_CLASSES)[number];

export const REGION_POLICIES = ['claimed', 'verified'] as const;
export type RegionPolicy = (typeof REGION_POLICIES)[number];

/** What an offer says of its region. */
export interface RegionClaim {
  class: OfferClass;
  /** Null of a P3 that claims none. */
  region: Region | null;
  /** Name of the property, `subnet`, `list`, or `none`. */
  source: string;
  /** As it stands in the offer. */
  value: string | null;
}

/** What our echo endpoint saw. */
export interface RegionObservation {
  /** Source address of the request that carried the nonce. */
  address: string;
  /** Null: the database does not know the address. */
  country: string | null;
  region: Region | null;
  /** RFC 3339. */
  seenAt: string;
  nonceSha256: string;
  geoip: { database: string; builtAt: string };
}

/** Kept with the placement and in the receipt, under its hash there. */
export interface RegionFindings {
  class: OfferClass;
  claim: { source: string; value: string | null };
  probe: { address: string; country: string | null; seen_at: string; nonce_sha256: string } | null;
  /** Which table made a region of a country, and which database a country of the address. */
  countries: string | null;
  geoip: { database: string; built_at: string } | null;
}

/** Structurally the evidence of a placement (backends/backend.ts). */
export interface JudgedRegion {
  requested: Region;
  claimed: Region | null;
  observed: Region | null;
  verified: boolean;
  method: string;
  evidence: RegionFindings;
}

export type ProbeNeed =
  /** Nothing may run before a probe has succeeded. */
  | 'required'
  /** A contradiction would end it; without one it runs on its claim. */
  | 'optional'
  /** Cannot be probed here, and need not be. */
  | 'none'
  /** Must be probed and cannot be: refuse before any money is spent. */
  | 'impossible';

/** What an offer of this class needs. `canProbe`: an echo URL and a GeoIP database are configured. */
export function probeNeed(policy: RegionPolicy, offer: OfferClass, canProbe: boolean): ProbeNeed {
  if (policy === 'verified' || offer === 'P3') return canProbe ? 'required' : 'impossible';
  return canProbe ? 'optional' : 'none';
}

export type RegionRefusal =
  /** A probe was due and no request came. */
  | 'probe_missing'
  /** It came from an address that no country is known of. */
  | 'probe_inconclusive'
  /** It came from elsewhere. */
  | 'region_contradicted';

export type RegionJudgement =
  { run: true; region: JudgedRegion } | { run: false; region: JudgedRegion; refusal: RegionRefusal };

/** Method of an evidence that rests on a probe. */
export const PROBE_METHOD = 'preflight-geoip';
/** Method of an evidence that rests on what the offer says, by its class. */
const CLAIM_METHODS: Record<OfferClass, string> = {
  P0: 'claim-beacon-region',
  P1: 'claim-region-property',
  P2: 'claim-subnet-or-list',
  P3: 'none',
};

export interface RegionCase {
  /** Where this attempt is to run. */
  requested: Region;
  policy: RegionPolicy;
  claim: RegionClaim;
  /** Null: no probe was made, or none came back. */
  observation: RegionObservation | null;
}

export function judgeRegion({ requested, policy, claim, observation }: RegionCase): RegionJudgement {
  const matches = observation !== null && observation.region === requested;
  const region: JudgedRegion = {
    requested,
    claimed: claim.region,
    observed: observation?.region ?? null,
    verified: matches,
    method: observation === null ? CLAIM_METHODS[claim.class] : PROBE_METHOD,
    evidence: findings(claim, observation),
  };
  const refuse = (refusal: RegionRefusal): RegionJudgement => ({ run: false, region, refusal });
  if (matches) return { run: true, region };
  // A country that belongs to no region is elsewhere too.
  if (observation !== null && observation.country !== null) return refuse('region_contradicted');
  if (probeNeed(policy, claim.class, true) === 'optional') return { run: true, region };
  return refuse(observation === null ? 'probe_missing' : 'probe_inconclusive');
}

function findings(claim: RegionClaim, observation: RegionObservation | null): RegionFindings {
  return {
    class: claim.class,
    claim: { source: claim.source, value: claim.value },
    probe:
      observation === null
        ? null
        : {
            address: observation.address,
            country: observation.country,
            seen_at: observation.seenAt,
            nonce_sha256: observation.nonceSha256,
          },
    countries: observation === null ? null : COUNTRY_TABLE,
    geoip:
      observation === null
        ? null
        : { database: observation.geoip.database, built_at: observation.geoip.builtAt },
  };
}
