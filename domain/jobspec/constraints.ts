import type { JsonObject } from '../json/node.ts';
import { LIMITS } from '../limits.ts';
import { JobSpecError } from './error.ts';
import {
  member,
  quoted,
  readInteger,
  readItems,
  readNumber,
  readObject,
  readStrings,
  readText,
  refused,
  type Field,
} from './field.ts';
import { REGION_POLICIES, type RegionPolicy } from '../region/judge.ts';
import { parseRegion, REGIONS, type Region } from './region.ts';
import { DEFAULT_MIN_SUCCESS_RATE } from './success.ts';

/** Where, how long and how well a job must run (spec: beacon §1.4), defaults filled. */
export interface Constraints {
  /** At least one, each once. */
  regions: Region[];
  /** An extension of Beacon: where an execution may go when its own region is exhausted, in order (docs/api.md). */
  fallbackRegions: Region[];
  /** An extension of Beacon: the kinds of backend that may run the job; undefined = any. */
  backends: string[] | undefined;
  /** An extension of Beacon: whether a provider's word is enough for its region; undefined = as the operator has it. */
  regionPolicy: RegionPolicy | undefined;
  minRegions: number;
  /** 0.67 means two thirds (success.ts). */
  minSuccessRate: number;
  /** Bound of one execution over all its attempts. */
  timeoutMs: number;
  /** Bound of one attempt. */
  providerTimeoutMs: number;
  /** GLM. */
  maxCost: number | undefined;
  providers: ProviderFilter[];
}

export interface ProviderFilter {
  region: Region;
  minScore: number | undefined;
  maxPrice: number | undefined;
  whitelist: string[];
  blacklist: string[];
}

const DEFAULT_TIMEOUT_MS = 10 * 60_000;
const DEFAULT_PROVIDER_TIMEOUT_MS = 5 * 60_000;
/** A job's deadline is a day; an execution cannot need longer. */
const MAX_TIMEOUT_MS = 24 * 60 * 60_000;

const NANOSECONDS_PER_MS = 1_000_000;
const MAX_INT32 = 2 ** 31 - 1;
const BACKEND_NAME = /^[a-z][a-z0-9-]{0,31}$/;

export function parseConstraints(spec: JsonObject): Constraints {
  const object = readObject(member(spec, 'constraints'));
  const at = (key: string): Field => member(object, key, 'constraints');
  const regions = readRegions(at('regions')) ?? [];
  if (regions.length === 0)
    throw new JobSpecError('constraints.regions', 'at least one region constraint is required');
  const minRegions = Math.max(1, readInteger(at('min_regions'), -MAX_INT32, MAX_INT32) ?? 1);
  if (minRegions > regions.length) {
    throw refused(
      at('min_regions'),
      `is ${minRegions}, but constraints.regions names only ${regions.length} (${regions.join(', ')})`,
    );
  }
  return {
    regions,
    fallbackRegions: readRegions(at('fallback_regions')) ?? [],
    backends: readBackends(at('backends')),
    regionPolicy: readRegionPolicy(at('region_policy')),
    minRegions,
    minSuccessRate: readNumber(at('min_success_rate'), 0, 1) || DEFAULT_MIN_SUCCESS_RATE,
    timeoutMs: readNanoseconds(at('timeout')) ?? DEFAULT_TIMEOUT_MS,
    providerTimeoutMs: readNanoseconds(at('provider_timeout')) ?? DEFAULT_PROVIDER_TIMEOUT_MS,
    maxCost: readNumber(at('max_cost'), 0, Number.MAX_VALUE),
    providers: readItems(at('providers'), LIMITS.providerFilters)?.map(readProvider) ?? [],
  };
}

/** Regions by any of their names, each once; undefined when the member is absent. */
export function readRegions(field: Field): Region[] | undefined {
  const items = readItems(field, LIMITS.regionsNamed);
  return items && [...new Set(items.map(readRegion))];
}

function readRegion(field: Field): Region {
  const name = readText(field, LIMITS.specWordBytes) ?? '';
  const region = parseRegion(name);
  if (region === undefined)
    throw refused(field, `is ${quoted(name)}, which is no region; known are ${REGIONS.join(', ')}`);
  return region;
}

/** Milliseconds, rounded up; undefined for 0 and absence. */
function readNanoseconds(field: Field): number | undefined {
  const expected = 'must be an integer count of nanoseconds, such as 600000000000 for ten minutes';
  if (field.value === undefined) return undefined;
  if (typeof field.value !== 'number' || !Number.isInteger(field.value)) throw refused(field, expected);
  if (field.value === 0) return undefined;
  if (field.value < NANOSECONDS_PER_MS || field.value > MAX_TIMEOUT_MS * NANOSECONDS_PER_MS) {
    throw refused(field, `${expected}, from a millisecond to 24 hours`);
  }
  return Math.ceil(field.value / NANOSECONDS_PER_MS);
}

function readBackends(field: Field): string[] | undefined {
  const names = readStrings(field, LIMITS.backendsNamed, LIMITS.specWordBytes);
  names?.forEach((value, i) => {
    if (!BACKEND_NAME.test(value))
      throw refused({ path: `${field.path}[${i}]` }, `is no backend: ${quoted(value)}`);
  });
  return names === undefined || names.length === 0 ? undefined : [...new Set(names)];
}

function readRegionPolicy(field: Field): RegionPolicy | undefined {
  const word = readText(field, LIMITS.specWordBytes);
  const policy = REGION_POLICIES.find((one) => one === word);
  if (word !== undefined && policy === undefined)
    throw refused(field, `is ${quoted(word)}; it must be ${REGION_POLICIES.join(' or ')}`);
  return policy;
}

function readProvider(field: Field): ProviderFilter {
  const object = readObject(field);
  const at = (key: string): Field => member(object, key, field.path);
  const listed = (key: string): string[] =>
    readStrings(at(key), LIMITS.providersListed, LIMITS.specNameBytes) ?? [];
  return {
    region: readRegion(at('region')),
    minScore: readNumber(at('min_score'), 0, Number.MAX_VALUE),
    maxPrice: readNumber(at('max_price'), 0, Number.MAX_VALUE),
    whitelist: listed('whitelist'),
    blacklist: listed('blacklist'),
  };
}
