import type { TerminalOutcome } from '../states.ts';

/** Means two thirds, as its writers meant it: 2 of 3 passes. */
export const DEFAULT_MIN_SUCCESS_RATE = 0.67;

/** When a job counts as completed, as its plan froze it. */
export interface SuccessRule {
  /** How many executions the job planned. */
  planned: number;
  min_regions: number;
  min_success_rate: number;
}

/** The current answer for one planned execution: the last of its chain of follow-ups. */
export interface Answer {
  outcome: TerminalOutcome;
  /** Where it ran; null when it ran nowhere. */
  region: string | null;
}

/**
 * How a job ended, once all its executions have (spec: core §1). A cancelled job is `cancelled` unless everything
 * completed. Otherwise enough of all that was planned must have completed, in enough regions; a job that misses that
 * because time ran out is `expired`.
 */
export function decideJob(
  rule: SuccessRule,
  answers: readonly Answer[],
  cancelRequested: boolean,
): TerminalOutcome {
  const ended = (outcome: TerminalOutcome) => answers.filter((answer) => answer.outcome === outcome);
  const completed = ended('completed');
  const stopped = cancelRequested || ended('cancelled').length > 0;
  if (stopped && completed.length < rule.planned) return 'cancelled';
  const regions = new Set(completed.flatMap((answer) => answer.region ?? []));
  const met =
    regions.size >= rule.min_regions && reachesRate(completed.length, rule.planned, rule.min_success_rate);
  if (met) return 'completed';
  return ended('expired').length > 0 ? 'expired' : 'failed';
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

/** The fraction that the shortest decimal text of `value`, from 0 to 1, stands for. */
function decimalFraction(value: number): { numerator: bigint; denominator: bigint } {
  const [digits, exponent] = String(value).split('e') as [string, string | undefined];
  const [whole, fraction = ''] = digits.split('.') as [string, string | undefined];
  const scale = fraction.length - Number(exponent ?? 0);
  return { numerator: BigInt(whole + fraction), denominator: 10n ** BigInt(scale) };
}
