import type { Provider } from './provider.ts';
import { parseConstraint, satisfies } from './constraints.ts';
import { manifestUrls, urlAllowed } from './outbound.ts';

/** Golem's providers refuse shorter and longer agreements (ya-provider's LimitExpiration). */
const SHORTEST_MS = 5 * 60_000;
const LONGEST_MS = 100 * 3_600_000;

/** What a provider publishes; null when it publishes nothing. */
export function offered(provider: Provider): Record<string, unknown> | null {
  const fault = provider.faults.take('offer');
  if (fault === null) return provider.properties;
  if (fault.do === 'silent') return null;
  const { 'golem.com.usage.vector': usage, ...rest } = provider.properties;
  if (fault.do === 'without-prices') return rest;
  return { ...rest, 'golem.com.usage.vector': usage, 'golem.com.pricing.model.linear.coeffs': [0] };
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
    (url) => !(provider.script.allowedUrls ?? []).some((pattern) => urlAllowed(url, pattern)),
  );
  return refused === undefined ? null : { message: `manifest: URL is not whitelisted: ${refused}` };
}
