/** What a rental costs, in the platform's unit. */
import { add, decimalOf, isMore, times } from '../../domain/money/decimal.ts';
import type { Offer } from './offer.ts';
import type { PriceCaps } from './settings.ts';

/** Of the worst case that is held. */
const HEADROOM = 1.2;

export interface Quantity {
  seconds: number;
  threads: number;
}

export function priceOf(
  { pricing, threads }: Pick<Offer, 'pricing' | 'threads'>,
  { seconds }: Pick<Quantity, 'seconds'>,
): number {
  return pricing.start + seconds * (pricing.envSec + pricing.cpuSec * threads);
}

/** Of all its threads, without the start. */
export const minutePriceOf = (offer: Pick<Offer, 'pricing' | 'threads'>): number =>
  priceOf(offer, { seconds: 60 }) - offer.pricing.start;

/** The most that an attempt may cost within the caps. Exact: hours are rounded up to hundredths. */
export function worstCase(caps: PriceCaps, rentalMs: number, threads: number): string {
  const hours = Math.ceil(rentalMs / 36_000) / 100;
  const byPart = add(decimalOf(caps.envHour), times(decimalOf(caps.cpuHour), threads));
  const anHour = least(byPart, caps.minute === null ? null : times(decimalOf(caps.minute), 60));
  const worst = times(add(decimalOf(caps.start), times(anHour, hours)), HEADROOM);
  return least(worst, caps.total === null ? null : decimalOf(caps.total));
}

const least = (amount: string, bound: string | null): string =>
  bound !== null && isMore(amount, bound) ? bound : amount;
