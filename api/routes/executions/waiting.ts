import { z } from 'zod';
import { listNegotiations } from '../../../store/negotiations.ts';
import type { Queryable } from '../../../store/pool.ts';
import type { ExecutionRow } from '../../../store/execution-reads.ts';

/** Why an execution has no place yet. */
export const waiting = z
  .object({
    code: z
      .string()
      .describe(
        '`no_offers`, `offers_dropped`, `providers_refused`, or the failure for which nobody could be looked for.',
      ),
    message: z.string().describe('For people.'),
    seen_at: z.iso.datetime(),
  })
  .meta({
    id: 'Waiting',
    description: 'What the last look for a place, or the last talks about one, came to.',
  });
type Waiting = z.infer<typeof waiting>;

/** As activities/negotiation.ts writes it; one that was too large has numbers in place of lists. */
interface Kept {
  failure?: { code: string; message: string };
  seen?: number;
  candidates?: number | readonly unknown[];
  dropped?: Readonly<Record<string, number>>;
  provider?: string | null;
  refused?: number;
  refusals?: readonly { provider: string; why: string }[];
}

/** Null where nobody looked yet, or where the last that was heard is no reason to wait. */
export async function whatItWaitsFor(
  db: Queryable,
  { id, state }: Pick<ExecutionRow, 'id' | 'state'>,
): Promise<Waiting | null> {
  if (state !== 'placing') return null;
  const [newest] = await listNegotiations(db, id, 1);
  if (newest === undefined) return null;
  const why = reasonIn(newest.record);
  return why === undefined ? null : { ...why, seen_at: newest.recorded_at.toISOString() };
}

function reasonIn({
  failure,
  seen,
  candidates,
  dropped = {},
  ...talks
}: Kept): Omit<Waiting, 'seen_at'> | undefined {
  if (failure !== undefined) return failure;
  if (seen !== undefined) {
    const found = typeof candidates === 'number' ? candidates : (candidates?.length ?? 0);
    if (found > 0) return undefined;
    if (seen === 0) return { code: 'no_offers', message: 'the market has no offers for it' };
    const rules = Object.entries(dropped).map(([rule, count]) => `${count} by ${rule}`);
    return { code: 'offers_dropped', message: `${seen} offers seen, none fits: ${rules.join(', ')}` };
  }
  if (talks.provider !== null || talks.refused === undefined) return undefined;
  const last = talks.refusals?.at(-1);
  const words = last === undefined ? '' : `, the last one: ${last.why}`;
  return { code: 'providers_refused', message: `${talks.refused} providers refused${words}` };
}
