/** What a rental costs, in the platform's unit. */
import type { Offer } from './offer.ts';

export interface Quantity {
  seconds: number;
  threads: number;
}

export function priceOf(
  { pricing, threads }: Pick<Offer, 'pricing' | 'threads'>,
  { seconds }: Quantity,
): number {
  return pricing.start + seconds * (pricing.envSec + pricing.cpuSec * threads);
}
