import { usageOf, type Activity } from './activities.ts';
import { amount, payable, sum, type Amount } from './money.ts';

/** The `linear` model of Golem's `payu` scheme: what starting costs, and what each counted second costs. */
export function costOf(activity: Activity, now: number): Amount {
  const { prices } = activity.agreement.provider;
  const { cpuSec, durationSec } = usageOf(activity, now);
  const exact = amount(prices.start)
    .plus(amount(prices.cpuSec).times(cpuSec))
    .plus(amount(prices.envSec).times(durationSec));
  return payable(exact);
}

export const costOfAll = (activities: Activity[], now: number): Amount =>
  sum(activities.map((activity) => costOf(activity, now)));
