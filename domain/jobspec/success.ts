import type { TerminalOutcome } from '../states.ts';
import type { Plan } from './plan.ts';
import type { Region } from './region.ts';

/** Means two thirds, as its writers meant it: 2 of 3 passes. */
export const DEFAULT_MIN_SUCCESS_RATE = 0.67;

export type SuccessRule = Pick<Plan, 'executions' | 'min_regions' | 'min_success_rate'>;

/** The current answer for one planned execution: the last of its chain of follow-ups. */
export interface EndedExecution {
  outcome: TerminalOutcome;
  /** Where it ran; null when it ran nowhere. */
  region: Region | null;
}

/**
 * Whether a job whose executions have all ended is completed (spec: core §1): enough of all planned executions
 * completed, in enough regions. Cancelled and expired jobs are not decided here.
 */
export function jobOutcome(plan: SuccessRule, ended: Iterable<EndedExecution>): 'completed' | 'failed' {
  const regions = new Set<Region>();
  let completed = 0;
  for (const { outcome, region } of ended) {
    if (outcome !== 'completed') continue;
    completed++;
    if (region !== null) regions.add(region);
  }
  return meetsSuccessRule(plan, completed, regions.size) ? 'completed' : 'failed';
}

/** The same over counts: executions completed, and distinct regions in which one was. */
export function meetsSuccessRule(plan: SuccessRule, completed: number, regionsCompleted: number): boolean {
  return (
    regionsCompleted >= plan.min_regions &&
    reachesRate(completed, plan.executions.length, plan.min_success_rate)
  );
}

/**
 * completed / total >= rate, exactly. A rate is the decimal that was written (0.7 is 7/10, not the double next to it);
 * 0.67, the default, means two thirds.
 */
export function reachesRate(completed: number, total: number, rate: number): boolean {
  const { numerator, denominator } =
    rate === DEFAULT_MIN_SUCCESS_RATE ? { numerator: 2n, denominator: 3n } : decimalFraction(rate);
  return BigInt(completed) * denominator >= numerator * BigInt(total);
}

/** The fraction that the shortest decimal text of `value` (not negative) stands for. */
function decimalFraction(value: number): { numerator: bigint; denominator: bigint } {
  const [digits, exponent] = String(value).split('e') as [string, string | undefined];
  const [whole, fraction = ''] = digits.split('.') as [string, string | undefined];
  const scale = fraction.length - Number(exponent ?? 0);
  const numerator = BigInt(whole + fraction);
  return scale >= 0
    ? { numerator, denominator: 10n ** BigInt(scale) }
    : { numerator: numerator * 10n ** BigInt(-scale), denominator: 1n };
}
