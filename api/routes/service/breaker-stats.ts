import { z } from 'zod';
import type { BreakerRow } from '../../../store/breakers.ts';

/** As the older service numbered them. */
const STATES = { closed: 0, open: 1, half_open: 2 } as const;
const WORSE = ['closed', 'half_open', 'open'] as const;

export const breakerStats = z
  .object({
    Name: z.string(),
    State: z.int().describe('0 closed, 1 open, 2 half open.'),
    Failures: z.int(),
    Successes: z.int(),
    Requests: z.int().describe('Of the last half minute, over all processes.'),
    LastFailTime: z.iso.datetime().nullable(),
    state: z.enum(['closed', 'open', 'half_open']).describe('The worst of all processes.'),
    forced: z.boolean().describe('Opened by an operator.'),
    rejected: z.int().describe('Calls that were not made.'),
    processes: z.int(),
  })
  .meta({ id: 'CircuitBreakerStats' });
export type BreakerStats = z.infer<typeof breakerStats>;

/** One picture of the breakers of a name in all processes. */
export function breakersOf(rows: readonly BreakerRow[]): BreakerStats[] {
  return [...new Set(rows.map(({ name }) => name))].map((name) => {
    const own = rows.filter((row) => row.name === name);
    const sum = (count: (row: BreakerRow) => number): number =>
      own.reduce((total, row) => total + count(row), 0);
    const state = WORSE.findLast((one) => own.some((row) => row.state === one)) ?? 'closed';
    return {
      Name: name,
      State: STATES[state],
      Failures: sum((row) => row.failures),
      Successes: sum((row) => row.successes),
      Requests: sum((row) => row.requests),
      LastFailTime: own.map((row) => row.lastFailure).reduce(later, null),
      state,
      forced: own.some((row) => row.forced),
      rejected: sum((row) => row.rejected),
      processes: own.length,
    };
  });
}

const later = (a: string | null, b: string | null): string | null =>
  a === null || (b !== null && b > a) ? b : a;
