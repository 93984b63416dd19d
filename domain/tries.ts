import { FAILURES, type FailureCode } from './failure.ts';
import type { Plan } from './jobspec/plan.ts';
import type { Region } from './jobspec/region.ts';

/** One try of an execution and why it failed. Lost attempts are not tries: they say nothing about the place. */
export interface Try {
  region: Region;
  backend: string;
  code: FailureCode;
  retryable: boolean;
}

/** Where an execution may be tried. */
export interface Place {
  region: Region;
  backend: string;
}

/**
 * The next place for an execution whose home is `home`, after `tries`; undefined when it has failed for good.
 * The program's own fault ends it. What an operator must set up, or a place that was too slow, is not asked twice at
 * the same backend of a region. Everything else goes round the region's backends, `attempts_per_region` times in all,
 * then on to the fallback regions in their order.
 */
export function nextPlace(plan: Plan, home: Region, tries: readonly Try[]): Place | undefined {
  const last = tries.at(-1);
  if (last !== undefined && !last.retryable && FAILURES[last.code].source !== 'operator') return undefined;
  for (const region of [home, ...plan.fallback_regions]) {
    const here = tries.filter((one) => one.region === region);
    if (here.length >= plan.attempts_per_region) continue;
    const useless = new Set(here.filter((one) => isPlacesFault(one.code)).map((one) => one.backend));
    const left = (plan.backends[region] ?? []).filter((backend) => !useless.has(backend));
    const backend = left[here.length % left.length];
    if (backend !== undefined) return { region, backend };
  }
  return undefined;
}

/** Too slow, or a market that was looked at for long and has nobody for this work. */
const PLACES_FAULTS: ReadonlySet<FailureCode> = new Set([
  'attempt_timeout',
  'no_offers',
  'offers_too_expensive',
  'offers_filtered_out',
]);

/** The same place would answer the same again. */
function isPlacesFault(code: FailureCode): boolean {
  return FAILURES[code].source === 'operator' || PLACES_FAULTS.has(code);
}
