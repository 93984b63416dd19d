import type { Provider } from './provider.ts';
import { parseConstraint, satisfies } from './constraints.ts';
import { manifestUrls, urlAllowed } from './outbound.ts';

/** Golem's providers refuse shorter and longer agreements (ya-provider's LimitExpiration). */
const SHORTEST_MS = 5 * 60_000;
const LONGEST_MS = 100 * 3_600_000;

const USAGE = 'golem.com.usage.vector';
const PRICES = 'golem.com.pricing.model.linear.coeffs';

/** What a provider publishes; null when it publishes nothing. */
export function offered(provider: Provider): Record<string, unknown> | null {
  const fault = provider.faults.take('offer');
  if (fault === null) return provider.properties;
  if (fault.do === 'silent') return null;
  const { [USAGE]: _usage, ...withoutUsage } = provider.properties;
  if (fault.do === 'without-usage') return withoutUsage;
  const { [PRICES]: _prices, ...withoutPrices } = provider.properties;
  return fault.do === 'without-prices' ? withoutPrices : { ...withoutPrices, [PRICES]: [0] };
}

/** Null when the provider agrees, else why not. */
export function answerToCounter(
  provider: Provider,
  content: { properties: Record<string, unknown>; constraints: string },
  now: { nowMs: number; load: number },
): { message: string } | null {
  const { properties } = content;
  const nowMs = now.nowMs + (provider.script.clockSkewMs ?? 0);
  const left = Number(properties['golem.srv.comp.expiration']) - nowMs;
  if (!(left >= SHORTEST_MS && left <= LONGEST_MS))
    return {
      message: `Proposal expires at: ${String(properties['golem.srv.comp.expiration'])} which is less than 5 min or more than 100 h from now`,
    };
  if (now.load >= (provider.script.capacity ?? Infinity))
    return { message: 'No capacity available. Reached Agreements limit' };
  const platform = properties['golem.com.payment.chosen-platform'];
  if (
    typeof platform !== 'string' ||
    !(`golem.com.payment.platform.${platform}.address` in provider.properties)
  )
    return { message: `Payment platform ${String(platform)} is not supported` };
  if (!satisfies(properties, parseConstraint(provider.constraints)))
    return { message: 'Constraints of the offer are not met' };
  const refused = manifestUrls(properties).find(
    (url) => !whitelistOf(provider).some((pattern) => urlAllowed(url, pattern)),
  );
  return refused === undefined ? null : { message: `manifest: URL is not whitelisted: ${refused}` };
}

/** A provider with a way out lets everything through unless its operator says otherwise. */
const whitelistOf = ({ script }: Provider) =>
  script.allowedUrls ?? (script.egress === undefined ? [] : ['*']);
