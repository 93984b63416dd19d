/** Offers of providers, who may write anything into them: what cannot be read is no offer. */
import type { Region } from '../../domain/jobspec/region.ts';
import { parseRegion } from '../../domain/jobspec/region.ts';
import type { RegionClaim } from '../../domain/region/judge.ts';
import type { GolemSettings } from './settings.ts';

export type Properties = Record<string, unknown>;

export interface Offer {
  provider: string;
  name: string;
  /** GLM for a start, per CPU second of each thread, per second. */
  pricing: { start: number; cpuSec: number; envSec: number };
  threads: number;
  properties: Properties;
}

const USAGE = 'golem.com.usage.vector';
const COEFFS = 'golem.com.pricing.model.linear.coeffs';
const CPU_USAGE = 'golem.usage.cpu_sec';
const ENV_USAGE = 'golem.usage.duration_sec';
const NODE_ID = /^0x[0-9a-fA-F]{40}$/;
const NAME_LENGTH = 128;

/** Whether the SDK can take these properties without harm: it does not survive an offer without prices. */
export function isPriced(properties: unknown): properties is Properties {
  if (typeof properties !== 'object' || properties === null) return false;
  const { [USAGE]: usage, [COEFFS]: coeffs } = properties as Properties;
  return (
    Array.isArray(usage) &&
    Array.isArray(coeffs) &&
    usage.every((name) => typeof name === 'string') &&
    coeffs.every((price) => typeof price === 'number' && Number.isFinite(price) && price >= 0) &&
    usage.includes(CPU_USAGE) &&
    usage.includes(ENV_USAGE) &&
    coeffs.length === usage.length + 1
  );
}

/** Undefined when it is no offer that could be used. */
export function readOffer(provider: string, properties: unknown): Offer | undefined {
  if (!NODE_ID.test(provider) || !isPriced(properties)) return undefined;
  const usage = properties[USAGE] as string[];
  const coeffs = properties[COEFFS] as number[];
  const threads = properties['golem.inf.cpu.threads'];
  const name = properties['golem.node.id.name'];
  return {
    provider,
    name: typeof name === 'string' ? name.slice(0, NAME_LENGTH) : provider,
    pricing: {
      start: coeffs.at(-1)!,
      cpuSec: coeffs[usage.indexOf(CPU_USAGE)]!,
      envSec: coeffs[usage.indexOf(ENV_USAGE)]!,
    },
    threads: typeof threads === 'number' && threads >= 1 ? threads : 1,
    properties,
  };
}

/** Own providers of an operator publish it by their runtime's descriptor. */
const OWN_REGION = 'golem.runtime.beacon-region';
const REGION_PROPERTIES = ['golem.runtime.region', 'golem.node.region', 'golem.node.geo.region'];
const COUNTRY_PROPERTY = 'golem.node.geo.country_code';
const SUBNET_PROPERTY = 'golem.node.debug.subnet';

export interface ClaimSettings extends Pick<GolemSettings, 'regionLists' | 'regionSubnets'> {
  regionOfCountry(country: string): Region | null;
}

/** What an offer says of its region, the strongest first. */
export function claimOf(offer: Offer, settings: ClaimSettings): RegionClaim {
  const text = (key: string): string | null => {
    const value = offer.properties[key];
    return typeof value === 'string' && value !== '' ? value.slice(0, NAME_LENGTH) : null;
  };
  const own = text(OWN_REGION);
  if (own !== null && parseRegion(own) !== undefined)
    return { class: 'P0', region: parseRegion(own)!, source: OWN_REGION, value: own };
  for (const key of REGION_PROPERTIES) {
    const value = text(key);
    const region = value === null ? undefined : parseRegion(value);
    if (region !== undefined) return { class: 'P1', region, source: key, value };
  }
  const country = text(COUNTRY_PROPERTY);
  const ofCountry = country === null ? null : settings.regionOfCountry(country);
  if (ofCountry !== null) return { class: 'P1', region: ofCountry, source: COUNTRY_PROPERTY, value: country };
  const subnet = text(SUBNET_PROPERTY);
  if (subnet !== null && Object.hasOwn(settings.regionSubnets, subnet))
    return { class: 'P2', region: settings.regionSubnets[subnet]!, source: 'subnet', value: subnet };
  for (const [region, ids] of Object.entries(settings.regionLists))
    if (ids.some((id) => id.toLowerCase() === offer.provider.toLowerCase()))
      return { class: 'P2', region: region as Region, source: 'list', value: offer.provider };
  return { class: 'P3', region: null, source: 'none', value: null };
}
