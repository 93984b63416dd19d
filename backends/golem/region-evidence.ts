/**
 * Where a provider's requests come from: it is told a URL with a nonce that is good once, and our echo endpoint writes
 * down the source address of the request that brings it. Who keeps nonces (the database) arrives as a dependency.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { RegionObservation } from '../../domain/region/judge.ts';
import { regionOfCountry } from '../../domain/region/country.ts';
import type { GeoTable } from './geoip.ts';

/** Path of the echo endpoint below GOLEM_ECHO_URL. */
export const ECHO_PATH = '/api/v1/echo/';

const NONCE_BYTES = 24;
/** A provider that takes longer to make one request is not there. */
export const PROBE_VALID_MS = 120_000;

export interface ProbeNonces {
  /** Kept before anybody is told of it. */
  expect(nonce: { sha256: Buffer; executionId: string; attempt: number; validMs: number }): Promise<void>;
  /** Undefined until its request came. */
  seen(sha256: Buffer): Promise<{ address: string; seenAt: Date } | undefined>;
}

export interface RegionEvidenceOptions {
  nonces: ProbeNonces;
  /** As providers reach our API; null: nothing can be probed. */
  echoUrl: string | null;
  geo: GeoTable | null;
}

export interface Probe {
  /** To be fetched once from inside the provider's activity, by any HTTP client. */
  url: string;
  nonce: string;
}

export type RegionEvidenceSource = ReturnType<typeof createRegionEvidence>;

export function createRegionEvidence({ nonces, echoUrl, geo }: RegionEvidenceOptions) {
  return {
    canProbe: echoUrl !== null && geo !== null,
    /** A nonce for one probe of one attempt. */
    async expectProbe(executionId: string, attempt: number): Promise<Probe> {
      if (echoUrl === null) throw new Error('GOLEM_ECHO_URL is not set: nothing can be probed');
      const nonce = randomBytes(NONCE_BYTES).toString('base64url');
      await nonces.expect({ sha256: hashOf(nonce), executionId, attempt, validMs: PROBE_VALID_MS });
      return { url: echoUrl.replace(/\/+$/, '') + ECHO_PATH + nonce, nonce };
    },
    /** What came under that nonce; null when nothing did. */
    async observed(nonce: string): Promise<RegionObservation | null> {
      const sha256 = hashOf(nonce);
      const seen = geo === null ? undefined : await nonces.seen(sha256);
      if (geo === null || seen === undefined) return null;
      const country = geo.countryOf(seen.address);
      return {
        address: seen.address,
        country,
        region: country === null ? null : regionOfCountry(country),
        seenAt: seen.seenAt.toISOString(),
        nonceSha256: sha256.toString('hex'),
        geoip: { database: geo.database, builtAt: geo.builtAt },
      };
    },
  };
}

const hashOf = (nonce: string): Buffer => createHash('sha256').update(nonce).digest();
