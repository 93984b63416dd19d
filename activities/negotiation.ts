import type { Candidate, Negotiated, Talks } from '../backends/backend.ts';
import type { Failure } from '../domain/failure.ts';
import type { BusinessEvents } from '../observability/events.ts';
import type { NegotiationOutcome } from '../observability/metrics.ts';
import { keepNegotiation, type NegotiationRecord } from '../store/negotiations.ts';
import type { Pool } from '../store/pool.ts';

/** Refusals that a record holds: the last ones. */
const KEPT_REFUSALS = 20;
const WHY_LENGTH = 300;

export interface Recording {
  pool: Pool;
  events: Pick<BusinessEvents, 'marketLooked' | 'negotiationEnded' | 'probeEnded' | 'negotiationNotKept'>;
  /** Called after each commit that wrote events. */
  committed(): void;
}

type Where = Pick<NegotiationRecord, 'jobId' | 'executionId' | 'backend'> & { region: string };

const needsProbe = ({ claim }: Pick<Candidate, 'claim'>): boolean => claim.class === 'P3';

const matchIn = (window: Negotiated['window']): NegotiationOutcome =>
  window === 'relaxed' ? 'relax_match' : 'strict_match';

/** What is kept of a candidate; operators are shown it. */
const shown = ({ provider, name, claim, estimate }: Candidate) => ({
  provider,
  name,
  rank: claim.class,
  claimed: claim.region,
  estimate,
});

/** Counts and keeps what a look at the market came to. Never rejects: nothing of the work depends on it. */
export function recordLook(
  to: Recording,
  where: Where,
  negotiated: Negotiated,
  durationMs: number,
): Promise<void> {
  const { candidates, seen, dropped, window } = negotiated;
  const toProbe = candidates.filter(needsProbe).length;
  const claimed = candidates.length - toProbe;
  const { region } = where;
  to.events.marketLooked({ region, seen, claimed, toProbe, dropped });
  const outcome: NegotiationOutcome =
    claimed > 0 ? matchIn(window) : toProbe > 0 ? 'needs_probe' : 'no_match';
  if (candidates.length === 0) to.events.negotiationEnded({ region, outcome, durationMs });
  return keep(to, {
    ...where,
    attempt: null,
    outcome,
    durationMs,
    record: { seen, dropped, candidates: candidates.map(shown) },
    counts: { seen, candidates: candidates.length, dropped },
  });
}

/** Keeps why a market could not be looked at. It is looked at again, so this is told once and counts as no look. */
export function recordFailedLook(
  to: Recording,
  where: Where,
  { code, message }: Pick<Failure, 'code' | 'message'>,
  durationMs: number,
): Promise<void> {
  return keep(to, {
    ...where,
    attempt: null,
    outcome: 'no_match',
    durationMs,
    record: { failure: { code, message: message.slice(0, WHY_LENGTH) } },
    counts: {},
  });
}

/** The same of what an attempt's talks with providers came to. */
export function recordTalks(to: Recording, where: Where & { attempt: number }, talks: Talks): Promise<void> {
  const { provider, rank, window, durationMs, probe } = talks;
  const outcome: NegotiationOutcome =
    provider === null || probe === 'failed'
      ? 'no_match'
      : probe === 'passed'
        ? 'probe_verified'
        : rank === 'P3'
          ? 'needs_probe'
          : matchIn(window);
  to.events.negotiationEnded({ region: where.region, outcome, durationMs });
  if (probe !== null) to.events.probeEnded({ region: where.region, passed: probe === 'passed' });
  const refusals = talks.refusals
    .slice(-KEPT_REFUSALS)
    .map((one) => ({ provider: one.provider, why: one.why.slice(0, WHY_LENGTH) }));
  return keep(to, {
    ...where,
    outcome,
    durationMs,
    record: { provider, rank, probe, refused: talks.refusals.length, refusals },
    counts: { refused: talks.refusals.length },
  });
}

async function keep({ pool, events, committed }: Recording, record: NegotiationRecord): Promise<void> {
  try {
    await keepNegotiation(pool, record);
    committed();
  } catch (error) {
    events.negotiationNotKept({ executionId: record.executionId, error });
  }
}
